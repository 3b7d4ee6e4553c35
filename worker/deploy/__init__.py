"""Files to run the worker with: container, systemd, compose, Kubernetes, users of Redis."""
