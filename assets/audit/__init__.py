"""Assets of the stage `audit`: one table a module."""
