"""Audits, gates and verdicts."""
