"""What reacts to what."""
