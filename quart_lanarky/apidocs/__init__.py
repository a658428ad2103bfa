"""The API docs of an app: its OpenAPI and AsyncAPI specs, their pages and commands."""
