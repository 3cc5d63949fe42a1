"""A seeded world with a virtual clock: the production order manager among every fault we know."""
