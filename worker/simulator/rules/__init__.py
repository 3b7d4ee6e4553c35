"""What each call does, and when Wix refuses it."""
