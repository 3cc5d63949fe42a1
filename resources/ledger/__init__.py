"""The ledger: an append-only journal that is the authority, and SQL tables derived from it."""
