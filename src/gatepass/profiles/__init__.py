"""One file a way in: discovery, client authentication and a grant, composed."""
