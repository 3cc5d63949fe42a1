"""Assets of the stage `raw`: one table a module."""
