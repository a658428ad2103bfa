"""The JSON response: the answer in one JSON object instead of a stream."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from pydantic import JsonValue
from quart import Response

from .. import events
from ..errors import RETRY_AFTER, ServerBusyError
from ..events.fold import Answer
from ..runs.run import Run
from .admission import register_run

__all__ = ["json_answer"]

logger = logging.getLogger(__name__)


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
        problem = run.failure.data
        return _json_response(problem, problem["status_code"])
    try:
        body = {"output": output()} | answer.fields
    except Exception:
        logger.exception("run %s: its output is no JSON", run.id)
        return _json_response(events.error(500, "Internal Server Error").data, 500)
    return _json_response(body, 200)


def _json_response(body: JsonValue, status: int) -> Response:
    response = Response(json.dumps(body), status, content_type="application/json")
    if status == ServerBusyError.code:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response
