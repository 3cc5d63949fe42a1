"""A code location that cannot be imported, as after a slip in an asset module."""

raise RuntimeError("the asset module has a slip")
