"""gatepass.toml: where it stands, what it says, what is wrong with it, and how an entry is written."""
