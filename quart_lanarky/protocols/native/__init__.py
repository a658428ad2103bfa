"""The native protocol: our own events, over server-sent events and WebSockets."""
