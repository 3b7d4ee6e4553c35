"""Bulk acts: a frozen selection that the workers act on, item by item."""
