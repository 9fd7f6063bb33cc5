"""Workflows: shipped, written by people, kept in versions, and how far each may go."""
