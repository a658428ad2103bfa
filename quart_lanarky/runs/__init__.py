"""The life of a run: no web framework, no connection, no wire format."""
