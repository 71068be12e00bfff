"""One file a grant: what is sent to the token endpoint, and what may come back."""
