"""Where notifications go: one folder for each kind of channel."""
