"""Where records are kept between mints and restarts: one protocol, and a file a store."""
