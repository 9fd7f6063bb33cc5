"""Receives telemetry and explains it: errors, patterns, chains, rollups."""
