"""The one place where tokens are made: worker threads, the token client, single flight and the real world."""
