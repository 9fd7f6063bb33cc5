"""Paths of the screens of alerts and incidents."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
