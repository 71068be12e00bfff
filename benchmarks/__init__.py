"""What gatepass costs, measured against a fixed header on the same client and against the official SDK, in one run."""
