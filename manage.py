#!/usr/bin/env python
"""The site's command line."""

from __future__ import annotations

import os
import sys

# With these the site is started without loading it first, which takes seconds.
UP_OPTIONS = {"--demo", "--stop-with-parent"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resilience_site.settings")
    from resilience_site.config import ConfigError

    try:
        if sys.argv[1:2] == ["up"] and UP_OPTIONS.issuperset(sys.argv[2:]):
            from resilience_site.embedded.handover import become_launcher

            become_launcher(sys.argv[2:])
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
