"""Assets of the stage `feature`: one table a module."""
