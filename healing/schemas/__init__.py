"""What the paths of healing take and give."""
