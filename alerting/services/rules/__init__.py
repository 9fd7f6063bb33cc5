"""Rules: kept, shipped, evaluated live and tried on history."""
