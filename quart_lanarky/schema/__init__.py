"""The documents of an app: OpenAPI for its streams, AsyncAPI for its WebSockets."""
