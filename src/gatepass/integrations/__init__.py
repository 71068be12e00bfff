"""Where gatepass meets HTTP clients and the MCP SDK."""
