"""The state of the simulated Wix: stores, orders, payments, refunds."""
