"""The corpus of `bad_input`: one module a way in, each a table of what may be wrong there."""
