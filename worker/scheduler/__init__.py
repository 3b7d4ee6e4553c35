"""Background threads: heartbeat, due times, reconcile."""
