"""What Wix accepts on the wire: routes, request bodies, refusals, queries."""
