"""Sends orders and tracks them; a process of its own, not an orchestrated run."""
