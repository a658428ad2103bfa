"""The JSON response: the answer, or why there is none, in one JSON object instead of a stream."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from pydantic import JsonValue
from quart import Response, after_this_request, has_websocket_context, request, websocket
from quart.ctx import after_this_websocket

from .. import events
from ..errors import RETRY_AFTER, InputError, InputTooLargeError
from ..events.fold import Answer
from ..runs.run import Run
from .admission import register_run

__all__ = ["answer_failure_as_json", "json_answer"]

logger = logging.getLogger(__name__)

INPUT_STATUSES: Final = frozenset({InputError.code, InputTooLargeError.code})
"""The status codes whose body is an `InputProblem`."""


async def json_answer(run: Run, output: Callable[[], JsonValue]) -> Response:
    """Run `run` to its end and answer with one JSON object instead of a stream.

    Args:
        run: The run. It is cancelled when the client goes away.
        output: Called after the run; returns the chain's answer.

    Returns:
        `{"output": …}`, with `source_documents` where the run sent some; or the payload of
        the `error` event, under its status code, when the run failed.

    Raises:
        ServerBusyError: Too many runs are live, or the server is shutting down. It is a 503.
    """
    answer = Answer()
    async with register_run(run, "json") as batches:
        async for batch in batches:
            for event in batch:
                answer.add(event)
    if run.failure is not None:
        was_shut_down = run.outcome == "cancelled"  # nobody else cancels a run with a failure
        return _error_response(run.failure.data, RETRY_AFTER if was_shut_down else None)
    try:
        body = {"output": output()} | answer.fields
    except Exception:
        logger.exception("run %s: its output is no JSON", run.id)
        return _unknown_error_response()
    return _json_response(body, 200)


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
    answer = _unknown_error_response()
    others = [each for each in response.headers if each[0] not in answer.headers]
    answer.headers.extend(others)  # such as `Cache-Control`, or what the app has set
    return answer


def _unknown_error_response() -> Response:
    return _error_response(events.error(500, "Internal Server Error").data)


def _error_response(problem: dict[str, Any], retry_after: int | None = None) -> Response:
    """Answer with the payload of an `error` event, under its own status code.

    Args:
        problem: The payload.
        retry_after: After how many seconds to try again, where the payload does not say it.
    """
    status = problem["status_code"]
    # Clients read the responses with these two by one schema, whoever found the inputs wrong.
    body = {"errors": [], **problem} if status in INPUT_STATUSES else problem
    response = _json_response(body, status)
    retry_after = problem.get("retry_after", retry_after)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _json_response(body: JsonValue, status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
