"""The only rooms that know Wix's spelling or import httpx."""
