"""What a test asks of the simulated Wix: flags and faults."""
