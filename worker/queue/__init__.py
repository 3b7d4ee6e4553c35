"""dramatiq's Redis broker, hardened: a message only says which refund to look at now."""
