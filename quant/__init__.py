"""The domain: knows finance and nothing else; no clock, no disk, no network."""
