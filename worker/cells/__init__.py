"""Stores spread over several hash tags, so that a Redis Cluster can spread them over its nodes."""
