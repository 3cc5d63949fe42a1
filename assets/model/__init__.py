"""Assets of the stage `model`: one table a module."""
