"""What each HTTP server of the worker needs: where it may listen, and who may ask."""
