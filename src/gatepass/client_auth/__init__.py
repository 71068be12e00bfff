"""Client authentication: how a client proves to the authorization server who it is. One file a method."""
