"""Sizing and the mathematics of a portfolio's history."""
