"""The metrics that Prometheus reads, and the answers to probes."""
