from __future__ import annotations

PATH = "/api/v1/errors"
