"""Protocols: what a client sends and what goes to it, as bytes; no web framework."""
