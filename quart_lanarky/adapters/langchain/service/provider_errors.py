"""What clients are told of the exceptions of model providers, in general words.

A class is known by the name of its package and its own name, along all that it derives from, so
that no package has to be imported to tell. What is no fault of the provider's or the client's, such
as a key that is wrong, is described by nobody here: it is status 500, and the log has the rest.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from ....errors import MODEL_DECLINED
from ....events import ErrorData

__all__ = ["describe_provider_error"]

MAX_RETRY_AFTER: Final = 3600
"""Seconds that a client is told to wait at most."""

MAX_TEXT: Final = 2000
"""How many characters of an exception's text are looked at."""


@dataclass(frozen=True)
class Condition:
    """Something that happens with every provider.

    Attributes:
        status: The status code for the client.
        detail: The reason for the client; `{}` is who is meant.
    """

    status: int
    detail: str


BUSY: Final = Condition(429, "{} is busy: try again later")
OVERLOADED: Final = Condition(503, "{} is overloaded: try again later")
FAILED: Final = Condition(502, "{} has failed: try again later")
UNREACHABLE: Final = Condition(502, "{} cannot be reached: try again later")
TIMED_OUT: Final = Condition(504, "{} took too long: try again later")
TOO_LONG: Final = Condition(413, "the input is too long for the model")
DECLINED: Final = Condition(422, MODEL_DECLINED)
OURS: Final = Condition(500, "Internal Server Error")
"""The app's account is empty: no waiting helps, and it is no business of the client's."""

_CODES: Final[Mapping[str, Condition]] = {
    "insufficient_quota": OURS,
    "billing_hard_limit_reached": OURS,
    "context_length_exceeded": TOO_LONG,
    "request_too_large": TOO_LONG,
    "content_filter": DECLINED,
    "content_policy_violation": DECLINED,
    "rate_limit_exceeded": BUSY,
    "rate_limit_error": BUSY,
    "resource_exhausted": BUSY,
    "throttlingexception": BUSY,
    "overloaded_error": OVERLOADED,
    "unavailable": OVERLOADED,
    "serviceunavailableexception": OVERLOADED,
    "modelnotreadyexception": OVERLOADED,
    "timeout_error": TIMED_OUT,
    "deadline_exceeded": TIMED_OUT,
    "modeltimeoutexception": TIMED_OUT,
    "api_error": FAILED,
    "server_error": FAILED,
    "internalserverexception": FAILED,
    "modelerrorexception": FAILED,
    "modelstreamerrorexception": FAILED,
}
"""The providers' own codes, in lower case, the most telling first."""

_STATUSES: Final[Mapping[int, Condition]] = {
    408: TIMED_OUT,
    413: TOO_LONG,
    429: BUSY,
    498: BUSY,  # Groq's
    503: OVERLOADED,
    504: TIMED_OUT,
    529: OVERLOADED,  # Anthropic's
}

_TOO_LONG_TEXT: Final = re.compile(
    r"prompt is too long"  # Anthropic
    r"|input is too long"  # Bedrock
    r"|exceeds the maximum number of tokens"  # Google
    r"|maximum context length"  # Mistral, vLLM, and OpenAI without its code
    r"|exceeds? the (?:available )?context (?:size|window|length)"  # Ollama, llama.cpp, OpenAI
)
"""What providers without a code for it write, in the texts of status 400."""


def _by_response(error: Any) -> Condition | None:
    """Read the code of an error, or else the status of the provider's response."""
    codes = {code.lower() for code in _codes(error)}
    found = next((_CODES[code] for code in _CODES if code in codes), None)
    status = _status(error) or 200  # an error in mid-stream has none, or that of the stream
    if found is FAILED:  # OpenAI calls an overload a `server_error` as well
        return _STATUSES.get(status, FAILED)
    if found is not None:
        return found
    if status in (200, 400, 422):
        return TOO_LONG if _TOO_LONG_TEXT.search(_text(error)) else None
    return _STATUSES.get(status, FAILED if status >= 500 else None)  # noqa: PLR2004  # of servers


def _always(condition: Condition) -> Callable[[Any], Condition | None]:
    return lambda _: condition


def _by_ollamas_response(error: Any) -> Condition | None:
    """Read an error of Ollama's, whose status is -1 if it came in the middle of a stream."""
    in_a_stream = getattr(error, "status_code", None) == -1
    return _by_response(error) or (FAILED if in_a_stream else None)


def _by_ollamas_text(error: Any) -> Condition | None:
    """Tell Ollama's bare ConnectionError from anybody else's."""
    is_ollamas = type(error) is ConnectionError and _text(error).startswith("failed to connect to ")
    return UNREACHABLE if is_ollamas else None


_CLASSES: Final[Mapping[str, Callable[[Any], Condition | None]]] = {
    **{
        f"{package}.{name}": read
        for package in ("openai", "anthropic", "groq")
        for name, read in {
            "APITimeoutError": _always(TIMED_OUT),
            "APIConnectionError": _always(UNREACHABLE),
            "APIError": _by_response,
        }.items()
    },
    "openai.ContentFilterFinishReasonError": _always(DECLINED),
    "openai.LengthFinishReasonError": _always(TOO_LONG),
    "google.APIError": _by_response,
    "google.GoogleAPICallError": _by_response,
    "google.RetryError": _always(TIMED_OUT),
    "ollama.ResponseError": _by_ollamas_response,
    "builtins.ConnectionError": _by_ollamas_text,
    "mistralai.SDKError": _by_response,
    "mistralai.MistralError": _by_response,
    "cohere.ApiError": _by_response,
    "botocore.ClientError": _by_response,
    "botocore.ReadTimeoutError": _always(TIMED_OUT),
    "botocore.ConnectTimeoutError": _always(TIMED_OUT),
    "botocore.ConnectionError": _always(UNREACHABLE),
    "botocore.HTTPClientError": _always(UNREACHABLE),
    "langchain_core.ContextOverflowError": _always(TOO_LONG),
    "langchain_core.ModelRefusalError": _always(DECLINED),
    "langchain_core.ModelRateLimitError": _always(BUSY),
    "langchain_core.ModelTimeoutError": _always(TIMED_OUT),
    "langchain_core.ModelConnectionError": _always(UNREACHABLE),
    "langchain_core.ModelAPIError": _always(FAILED),
    **{
        f"{package}.{name}": read
        for package in ("httpx", "httpx2")
        for name, read in {
            "TimeoutException": _always(TIMED_OUT),
            "TransportError": _always(UNREACHABLE),
            "HTTPStatusError": _by_response,
        }.items()
    },
}
"""How an exception of a class is read. Google's packages are called `google.` something."""

_PROVIDER: Final = "the model's provider"
_SERVICE: Final = "a service that the answer needs"
"""What is called by httpx: maybe the provider, but a tool may have called something else."""


def describe_provider_error(error: BaseException) -> ErrorData | None:
    """Return what the client is told of an exception; None if its class is not known."""
    for kind in type(error).__mro__:
        package = kind.__module__.partition(".")[0]
        read = _CLASSES.get(f"{package}.{kind.__name__}")
        condition = None if read is None else read(error)
        if condition is not None:
            who = _SERVICE if package.startswith("httpx") else _PROVIDER
            return _data(condition, who, error)
    return None


def _data(condition: Condition, who: str, error: BaseException) -> ErrorData:
    detail = condition.detail.format(who)
    waits = condition in (BUSY, OVERLOADED)
    seconds = _retry_after(error) if waits else None
    if seconds is None:
        return ErrorData(status_code=condition.status, detail=detail)
    return ErrorData(status_code=condition.status, detail=detail, retry_after=seconds)


# -- what the packages have where ----------------------------------------------------------


def _status(error: Any) -> int | None:
    """Return the status code of the provider's response."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # AWS
        metadata = response.get("ResponseMetadata", {})
        candidates = [metadata.get("HTTPStatusCode")]
    else:
        candidates = [
            getattr(error, "status_code", None),
            getattr(error, "code", None),
            getattr(response, "status_code", None),
        ]
    return next((int(each) for each in candidates if isinstance(each, int)), None)


def _codes(error: Any) -> Iterator[str]:
    """Yield the names that an error has for what happened."""
    names = ("code", "type", "status", "Code")
    holders = [{name: getattr(error, name, None) for name in names}, *_bodies(error)]
    for holder in holders:
        yield from (value for name in names if isinstance(value := holder.get(name), str))


def _bodies(error: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON of a provider's response, and the error in it."""
    for name in ("body", "details", "response"):
        body = getattr(error, name, None)
        if isinstance(body, Mapping):
            yield body
            inner = body.get("error", body.get("Error"))
            if isinstance(inner, Mapping):
                yield inner


def _text(error: BaseException) -> str:
    return str(error)[:MAX_TEXT].lower()


# -- when to try again ---------------------------------------------------------------------


def _retry_after(error: BaseException | None, depth: int = 0) -> int | None:
    """Return after how many seconds the provider, or what caused the error, may be asked again."""
    if error is None or depth > 3:  # noqa: PLR2004  # a package wraps its own errors once or twice
        return None
    found = [_delay(text) for text in _delays(error)]
    seconds = next((each for each in found if each is not None), None)
    return _retry_after(error.__cause__, depth + 1) if seconds is None else seconds


def _delays(error: Any) -> Iterator[Any]:
    """Yield what the response says of when to come back: in its headers, or Google's details."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # AWS
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders")
    else:
        headers = getattr(response, "headers", None) or getattr(error, "headers", None)
    if hasattr(headers, "get"):
        yield headers.get("retry-after")
    for body in _bodies(error):
        details = body.get("details")
        for each in details if isinstance(details, list) else ():
            if isinstance(each, Mapping) and isinstance(delay := each.get("retryDelay"), str):
                yield delay.removesuffix("s")


def _delay(text: Any) -> int | None:
    """Return a delay in whole seconds, from a number of them or a date of HTTP."""
    if not isinstance(text, str | int | float):
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(str(text))
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return min(max(1, math.ceil(seconds)), MAX_RETRY_AFTER)


def _seconds_until(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError):
        return math.nan
