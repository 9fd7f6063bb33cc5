"""What the analytics part of the API takes and gives, a module a subject."""

from __future__ import annotations
