"""A store's API key: cleaned, checked with Wix, sealed, opened, probed."""
