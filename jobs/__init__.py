"""What runs together and when; never how a number is computed."""
