"""Which attributes tell what fails now from what failed before."""
