"""gatepass: gets a program past the gate of a protected MCP server."""
