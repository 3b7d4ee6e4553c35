"""Log events, metrics, redaction."""
