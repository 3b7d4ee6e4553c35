"""The HTTP API for upstream: ask for refunds, and read what became of them."""
