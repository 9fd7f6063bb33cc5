"""What a series will do next, with a band, and when a level will pass its limit."""
