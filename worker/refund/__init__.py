"""The job, our record of it, reason codes, outcome events."""
