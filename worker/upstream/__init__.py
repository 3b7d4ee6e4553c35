"""What upstream services install: a wheel of its own, without the worker."""
