"""What a resilience report holds, when one is due, and how it is put into words. Pure."""
