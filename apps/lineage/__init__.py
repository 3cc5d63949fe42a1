"""Lineage: where a decision came from, whether it can be derived again, what a row touched."""
