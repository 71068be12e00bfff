"""Keys that are kept, or that live elsewhere."""
