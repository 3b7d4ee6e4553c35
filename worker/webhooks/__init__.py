"""Outcomes are sent to the addresses of others, signed, at least once, in order per refund."""
