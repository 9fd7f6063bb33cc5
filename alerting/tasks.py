"""Background work of alerting. Every task may run twice, or be missed, without harm."""
