"""The library at the edge of a service: one module for each kind of server.

Correlation id, deadline and tier come in with a request; rejections go out as problem+json.
"""
