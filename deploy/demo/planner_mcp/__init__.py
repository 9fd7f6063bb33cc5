"""The planner MCP server: tools over Microsoft Graph, with a cache and a database of its own.

tools → planner → cache (Valkey), store (PostgreSQL), graph (HTTP)
"""
