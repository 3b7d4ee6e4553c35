"""The simulator over HTTP: WSGI application, server, admin endpoints."""
