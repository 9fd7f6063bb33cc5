"""Decides and acts on failures: workflows, runs, guardrails."""
