"""The life of a token: what is kept of one, and every decision about it."""
