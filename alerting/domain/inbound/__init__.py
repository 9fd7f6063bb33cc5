"""What Alertmanager and Grafana post: read, checked, and put into the terms of this site. Pure."""
