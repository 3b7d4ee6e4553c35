"""Wix's HTTP interface: routes, request bodies, error bodies, queries."""
