"""Adapters: each fulfils a port of the domain and turns vendor errors into the domain's own."""
