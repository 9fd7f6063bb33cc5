"""Paths of the error, pattern and chain screens."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
