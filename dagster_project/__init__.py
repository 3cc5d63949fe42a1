"""Assembly of the code location; nothing else."""
