"""What changes alerts, silences, channels, deliveries and incidents."""
