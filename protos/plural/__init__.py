"""Plural's wire format."""
