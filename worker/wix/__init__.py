"""The only package that knows Wix's spelling or imports httpx."""
