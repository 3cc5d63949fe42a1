"""Forecasters behind one port, their scores, and the chain they fall back along."""
