"""The example app with the older version of the OpenAPI document."""

from examples.chat import app

app.config["QUART_LANARKY_OPENAPI_VERSION"] = "3.1.0"

__all__ = ["app"]
