"""Assets of the stage `order`: one table a module."""
