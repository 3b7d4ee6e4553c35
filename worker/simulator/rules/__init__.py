"""What each call of Wix does to the world, and when Wix refuses it."""
