"""Runs of workflows; `healing.services.recovery_orchestrator` is the door to all of it."""
