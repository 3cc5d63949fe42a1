"""Orders, fills, books and the paper engine, as values."""
