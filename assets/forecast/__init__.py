"""Assets of the stage `forecast`: one table a module."""
