"""What clients are told of the exceptions of model providers, whose packages are not installed."""

import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from quart_lanarky.adapters.langchain.service.provider_errors import describe_provider_error

SECRET = "sk-the-text-of-a-provider"


def class_named(path: str, *bases: type) -> type[Any]:
    """Return a class that has the full name of a package's."""
    module, _, name = path.rpartition(".")
    return type(name, bases or (Exception,), {"__module__": module})


def error_of(path: str, text: str = SECRET, **attributes: Any) -> Exception:
    error: Exception = class_named("x.Special", class_named(path))(text)
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def response(status: int = 200, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=status, headers=named)


def told(error: BaseException) -> tuple[int, str, int | None] | None:
    data = describe_provider_error(error)
    return None if data is None else (data.status_code, data.detail, data.retry_after)


BUSY = (429, "the model's provider is busy: try again later", None)
OVERLOADED = (503, "the model's provider is overloaded: try again later", None)
FAILED = (502, "the model's provider has failed: try again later", None)
UNREACHABLE = (502, "the model's provider cannot be reached: try again later", None)
TIMED_OUT = (504, "the model's provider took too long: try again later", None)
TOO_LONG = (413, "the input is too long for the model", None)
DECLINED = (422, "the model declined to answer", None)
OURS = (500, "Internal Server Error", None)


def aws(code: str, status: int = 400, **headers: str) -> Exception:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    body = {"Error": {"Code": code, "Message": SECRET}, "ResponseMetadata": metadata}
    return error_of("botocore.exceptions.ClientError", response=body)


def google(code: int, status: str, *details: Any) -> Exception:
    body = {"error": {"code": code, "status": status, "details": list(details)}}
    return error_of("google.genai.errors.APIError", code=code, status=status, details=body)


@pytest.mark.parametrize("package", ["openai", "anthropic", "groq", "groq._exceptions"])
@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("APIError", {"status_code": 429}, BUSY),
        ("APIError", {"status_code": 503}, OVERLOADED),
        ("APIError", {"status_code": 529}, OVERLOADED),
        ("APIError", {"status_code": 500}, FAILED),
        ("APIError", {"status_code": 408}, TIMED_OUT),
        ("APIError", {"status_code": 413}, TOO_LONG),
        ("APIError", {"status_code": 401}, None),
        ("APIError", {"status_code": 403}, None),
        ("APIError", {"status_code": 404}, None),
        ("APIError", {"status_code": 400}, None),
        ("APIError", {}, None),
        ("APIError", {"response": response(429)}, BUSY),
        ("APIError", {"status_code": 400, "code": "context_length_exceeded"}, TOO_LONG),
        ("APIError", {"status_code": 400, "code": "content_filter"}, DECLINED),
        ("APIError", {"status_code": 429, "code": "insufficient_quota"}, OURS),
        ("APIError", {"body": {"type": "server_error", "code": "server_error"}}, FAILED),
        ("APIError", {"status_code": 503, "code": "server_error"}, OVERLOADED),
        (
            "APIError",
            {"status_code": 200, "body": {"error": {"type": "overloaded_error"}}},
            OVERLOADED,
        ),
        ("APITimeoutError", {}, TIMED_OUT),
        ("APIConnectionError", {}, UNREACHABLE),
    ],
)
def test_errors_of_the_generated_packages(
    package: str, name: str, attributes: dict[str, Any], expected: Any
) -> None:
    assert told(error_of(f"{package}.{name}", **attributes)) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (google(429, "RESOURCE_EXHAUSTED"), BUSY),
        (google(503, "UNAVAILABLE"), OVERLOADED),
        (google(504, "DEADLINE_EXCEEDED"), TIMED_OUT),
        (google(403, "PERMISSION_DENIED"), None),
        (error_of("google.api_core.exceptions.GoogleAPICallError", code=429), BUSY),
        (error_of("google.api_core.exceptions.RetryError"), TIMED_OUT),
        (error_of("ollama._types.ResponseError", status_code=503), OVERLOADED),
        (error_of("ollama._types.ResponseError", status_code=404), None),
        (error_of("ollama._types.ResponseError", status_code=-1), FAILED),  # in mid-stream
        (ConnectionError("Failed to connect to Ollama. Is it running?"), UNREACHABLE),
        (ConnectionError(SECRET), None),
        (ConnectionRefusedError("Failed to connect to Ollama"), None),
        (aws("ThrottlingException", 400), BUSY),
        (aws("ServiceUnavailableException", 503), OVERLOADED),
        (aws("ModelTimeoutException", 408), TIMED_OUT),
        (aws("AccessDeniedException", 403), None),
        (error_of("botocore.exceptions.EndpointConnectionError"), None),
        (error_of("botocore.exceptions.HTTPClientError"), UNREACHABLE),
        (error_of("botocore.exceptions.ReadTimeoutError"), TIMED_OUT),
        (error_of("mistralai.models.sdkerror.SDKError", status_code=429), BUSY),
        (error_of("cohere.core.api_error.ApiError", status_code=429, headers={}), BUSY),
        (error_of("langchain_core.exceptions.ContextOverflowError"), TOO_LONG),
        (error_of("langchain_core.exceptions.ModelRefusalError"), DECLINED),
        (error_of("langchain_core.exceptions.ModelRateLimitError"), BUSY),
        (error_of("langchain_core.exceptions.ModelAuthenticationError"), None),
        (error_of("openai.ContentFilterFinishReasonError"), DECLINED),
        (error_of("elsewhere.APIError", status_code=429), None),
        (error_of("elsewhere.openai.APIError", status_code=429), None),
        (ValueError(SECRET), None),
        (TimeoutError(SECRET), None),
    ],
)
def test_errors_of_other_packages(error: Exception, expected: Any) -> None:
    assert told(error) == expected


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
def test_what_httpx_raises_may_be_about_another_service_than_the_provider(package: str) -> None:
    busy = error_of(f"{package}.HTTPStatusError", response=response(429, retry_after="3"))
    assert told(busy) == (429, "a service that the answer needs is busy: try again later", 3)
    assert told(error_of(f"{package}.HTTPStatusError", response=response(404))) is None
    lost = told(error_of(f"{package}.TransportError"))
    assert lost == (502, "a service that the answer needs cannot be reached: try again later", None)
    late = class_named(f"{package}.TimeoutException", class_named(f"{package}.TransportError"))
    assert told(late()) == (
        504,
        "a service that the answer needs took too long: try again later",
        None,
    )


def test_of_several_classes_the_most_telling_counts() -> None:
    """As LangChain derives its errors from a provider's and from its own."""
    rejected = class_named("openai.BadRequestError", class_named("openai.APIError"))
    overflow = class_named("langchain_core.exceptions.ContextOverflowError")
    error = class_named("langchain_openai.OpenAIContextOverflowError", rejected, overflow)(SECRET)
    error.status_code = 400
    assert told(error) == TOO_LONG


@pytest.mark.parametrize(
    "text",
    [
        "prompt is too long: 213009 tokens > 200000 maximum",
        "ValidationException: Input is too long for requested model.",
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        "This model's maximum context length is 4096 tokens.",
        "the request exceeds the available context size",
        "Your input exceeds the context window of this model.",
    ],
)
def test_an_input_that_is_too_long_is_told_by_its_text_where_there_is_no_code(text: str) -> None:
    assert told(error_of("anthropic.APIError", text, status_code=400)) == TOO_LONG
    assert told(error_of("anthropic.APIError", text, status_code=401)) is None
    assert told(error_of("elsewhere.Error", text, status_code=400)) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("6.2", 7),
        ("0", 1),
        ("999999", 3600),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Fri, 31 Dec 2100 00:00:00 GMT", 3600),
        ("Thu, 01 Jan 2015 00:00:00 GMT", None),
        ("Fri, 99 Zed 2026 00:00:00 GMT", None),
    ],
)
def test_when_to_try_again_is_told_in_whole_seconds(header: str, seconds: int | None) -> None:
    error = error_of("openai.APIError", response=response(429, retry_after=header))
    assert told(error) == (*BUSY[:2], seconds)


def test_a_date_is_told_in_seconds_from_now() -> None:
    header = formatdate(time.time() + 100, usegmt=True)
    found = told(error_of("openai.APIError", response=response(503, retry_after=header)))
    assert found is not None
    assert found[2] in range(95, 102)


def test_each_package_says_elsewhere_when_to_try_again() -> None:
    retry_info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
    assert told(google(429, "RESOURCE_EXHAUSTED", {}, None, retry_info)) == (*BUSY[:2], 35)
    assert told(aws("ThrottlingException", **{"retry-after": "3"})) == (*BUSY[:2], 3)
    cohere = error_of(
        "cohere.core.api_error.ApiError", status_code=429, headers={"retry-after": "4"}
    )
    assert told(cohere) == (*BUSY[:2], 4)


def test_a_wrapped_error_says_when_to_try_again_too() -> None:
    error = error_of("langchain_core.exceptions.ModelRateLimitError")
    error.__cause__ = error_of("openai.APIError", response=response(429, retry_after="9"))
    assert told(error) == (*BUSY[:2], 9)


def test_an_error_that_no_waiting_helps_has_no_time() -> None:
    error = error_of("openai.APIError", response=response(500, retry_after="9"))
    assert told(error) == FAILED


@pytest.mark.parametrize(
    "attributes",
    [
        {"response": {"ResponseMetadata": {}}},
        {"response": "text", "body": ["list"], "details": "text", "code": 1.5},
        {"body": {"error": "text", "code": None}, "headers": "text"},
    ],
)
def test_odd_attributes_do_no_harm(attributes: dict[str, Any]) -> None:
    assert told(error_of("openai.APIError", **attributes)) is None
