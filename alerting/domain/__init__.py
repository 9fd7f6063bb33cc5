"""Rules, routing, grouping and incidents as pure functions and state machines; time is passed in."""
