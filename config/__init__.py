"""All settings of the worker, read once from the environment."""
