"""What each transition reads at Wix, and the one change it makes there."""
