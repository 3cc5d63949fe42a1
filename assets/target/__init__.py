"""Assets of the stage `target`: one table a module."""
