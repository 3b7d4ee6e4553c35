"""The `refunds` commands: they parse and print; the work is done elsewhere."""
