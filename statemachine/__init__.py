"""The life of a refund as tables: pure, without I/O. Start with `flows.py`."""
