"""Everything at once, on an embedded server and against the simulator."""
