"""What a client gets when a chain could not even be made: JSON, as for all other refusals."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from quart import Response, after_this_request, has_websocket_context, request, websocket
from quart.ctx import after_this_websocket

from .. import events

__all__ = ["answer_failure_as_json"]


def answer_failure_as_json(error: Exception) -> None:
    """Have Quart's own page for an unhandled exception replaced by JSON, and name the route.

    Quart goes on as ever: it logs the error, raises it in debug mode, and asks the app's own error
    handlers, whose responses are left alone.

    Args:
        error: What is raised; the route is added to it for the log.
    """
    rule = (websocket if has_websocket_context() else request).url_rule
    error.add_note(f"raised before a run of the chain route {rule} could begin")
    if has_websocket_context():
        after_this_websocket(_as_json)
    else:
        after_this_request(_as_json)


async def _as_json(response: Any) -> Any:
    if response is None or response.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:
        return response
    if isinstance(response, Response):
        return response  # the app's own: Quart's page is a response of werkzeug's
    failure = events.error(500, "Internal Server Error").data
    answer = Response(json.dumps(failure), 500, content_type="application/json")
    others = [each for each in response.headers if each[0] not in answer.headers]
    answer.headers.extend(others)  # such as `Cache-Control`, or what the app has set
    return answer
