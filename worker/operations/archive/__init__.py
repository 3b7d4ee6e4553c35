"""Finished refunds outside of Redis: compressed JSON lines by day."""
