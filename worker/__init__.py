"""The refund worker: see README, "Follow one refund through the code"."""
