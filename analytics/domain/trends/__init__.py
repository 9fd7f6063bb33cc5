"""How a series goes: its drift, its rhythm, where it changed, and how it compares with before."""
