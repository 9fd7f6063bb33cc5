"""Screens of alerts and incidents."""
