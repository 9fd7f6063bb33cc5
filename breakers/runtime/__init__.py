"""The client library of the resilience control plane: plain Python, for any service.

    import breakers.runtime as resilience

    resilience.connect("http://127.0.0.1:8000", key="…", service="planner-mcp-server")

From then on the process's OpenTelemetry spans, metrics and, with `log_level`, its log records
arrive on the site. The library fails open: whatever happens to the site, the caller's work goes on.

    Exception
     └ ConfigError     an argument or a variable that cannot work; raised at start, never later
"""

from __future__ import annotations

from breakers.runtime.connection import Connection, connect
from breakers.runtime.variables import ClientVariables, ConfigError

__all__ = ["ClientVariables", "ConfigError", "Connection", "connect"]
