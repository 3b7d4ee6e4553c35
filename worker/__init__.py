"""The refund worker. Its architecture is described in worker/README.md."""
