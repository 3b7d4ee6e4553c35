"""Background threads: heartbeat, due times, lost refunds."""
