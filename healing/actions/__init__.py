"""Actions: what a step can do, one file each in `kinds`."""
