"""Software-defined assets, one folder a stage, one table a module; thin by rule."""
