"""Apps whose playground has nothing to show."""

from typing import Any

from quart import Quart, abort
from quart_schema import QuartSchema

from quart_lanarky import LanarkyExtension

empty = Quart("empty")
LanarkyExtension(empty, playground="/playground")

silent = Quart("silent")
QuartSchema(silent, openapi_path=None)
LanarkyExtension(silent, playground="/playground")

guarded = Quart("guarded")
QuartSchema(guarded)
LanarkyExtension(guarded, playground="/playground")


async def turn_away() -> Any:
    abort(401)


guarded.view_functions["openapi"] = turn_away
