"""What the simulated Wix holds: stores, orders, payments, refunds."""
