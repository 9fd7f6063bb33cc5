"""Reads of alerts, routing, deliveries and incidents."""
