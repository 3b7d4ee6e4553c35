"""The only package that knows Wix's spelling; only it and what sends to webhooks import httpx."""
