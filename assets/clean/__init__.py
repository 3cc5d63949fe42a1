"""Assets of the stage `clean`: one table a module."""
