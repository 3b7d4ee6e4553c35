"""The algorithm that all transitions share: claim, look, intent, act, commit."""
