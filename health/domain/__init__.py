"""Pure rules of health: states, flapping, the graph, availability. No I/O; time is passed in."""
