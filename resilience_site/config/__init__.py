"""The site's configuration: `from resilience_site.config import config`, then `config.port`.

Values come from the environment, else from what the installation keeps in its state directory,
else from the variable's default. They are read at the first use, never at import.
"""

from __future__ import annotations

from breakers.runtime.variables import ConfigError
from resilience_site.config.table import STATE_DIRECTORY, SiteConfig

__all__ = ["STATE_DIRECTORY", "ConfigError", "SiteConfig", "config"]

config = SiteConfig()
