"""What the API of alerts and incidents takes and gives, one module for each subject."""
