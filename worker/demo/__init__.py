"""The whole worker in one process, on an embedded server and against the simulator."""
