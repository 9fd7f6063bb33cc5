"""What may call what, and how well it is: services and their dependencies."""
