"""Who hears of what goes wrong, when, and with which cause: rules, alerts, their delivery, incidents."""
