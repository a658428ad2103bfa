"""The JSON response: the answer in one JSON object instead of a stream."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from pydantic import JsonValue
from quart import Response

from .. import events
from ..errors import RETRY_AFTER, InputError, InputTooLargeError, ServerBusyError
from ..events.fold import Answer
from ..runs.run import Run
from .admission import register_run

__all__ = ["json_answer"]

logger = logging.getLogger(__name__)

INPUT_STATUSES: Final = frozenset({InputError.code, InputTooLargeError.code})
"""The status codes whose body is an `InputProblem`."""

_RETRY_AFTER: Final = {ServerBusyError.code: RETRY_AFTER}
"""After how many seconds to try again, where the failure itself does not say it."""


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
        return _error_response(run.failure.data)
    try:
        body = {"output": output()} | answer.fields
    except Exception:
        logger.exception("run %s: its output is no JSON", run.id)
        return _error_response(events.error(500, "Internal Server Error").data)
    return _json_response(body, 200)


def _error_response(problem: dict[str, Any]) -> Response:
    """Answer with the payload of an `error` event, under its own status code."""
    status = problem["status_code"]
    # Clients read the responses with these two by one schema, whoever found the inputs wrong.
    body = {"errors": [], **problem} if status in INPUT_STATUSES else problem
    response = _json_response(body, status)
    retry_after = problem.get("retry_after", _RETRY_AFTER.get(status))
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _json_response(body: JsonValue, status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
