"""The demo's real parts: a Graph simulator, a planner MCP server with its own engines, a driver."""
