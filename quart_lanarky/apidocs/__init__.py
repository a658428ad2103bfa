"""OpenAPI and AsyncAPI: the specs of an app, their pages and commands."""
