"""Protocols: decode what clients send, encode events as bytes; no web framework."""
