"""The command `pmx`."""
