"""The life of a refund as tables: pure, no I/O. Start reading at `flows.py`."""
