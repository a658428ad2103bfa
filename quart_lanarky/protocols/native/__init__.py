"""The native protocol: the events as they are, over server-sent events and WebSockets."""
