"""From what fails to what is done about it."""
