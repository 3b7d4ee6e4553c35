"""Every knob of the worker, read once from the environment."""
