"""Log events and redaction."""
