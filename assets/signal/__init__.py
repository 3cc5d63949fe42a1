"""Assets of the stage `signal`: one table a module."""
