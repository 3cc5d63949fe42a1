"""Defects that are planted one at a time into a copy, to see whether the tests can see."""
