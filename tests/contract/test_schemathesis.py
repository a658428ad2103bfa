"""Schemathesis sends live servers what their OpenAPI specs allow, and what they do not.

All of its checks are on but for these:

- `use_after_free`, `ensure_resource_availability`, `ignored_auth`, `object_level_authorization`
  and `missing_required_header` find nothing to do here: no route makes a resource,
  authenticates or needs a header of its own.
- `not_a_server_error` for the route whose chain fails, as its name says: 500 is the right answer.
- `negative_data_rejection` for the GET whose inputs nobody knows: any query string is right.
"""

import copy
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.contract.judge import JSON, STREAM, Document, chain_operations, judge_response
from tests.contract.recording import fetch_documents
from tests.servers import Server

LEFT_OUT = (
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
    "missing_required_header",
)
OPERATIONS = [
    {"include-path": "/failing", "checks": {"not_a_server_error": {"enabled": False}}},
    {
        "include-path": "/unknown",
        "include-method": "GET",
        "checks": {"negative_data_rejection": {"enabled": False}},
    },
]
MANY_EVENTS = 1_000_000
TOO_LONG = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
"""Hypercorn's own answer to a URL that is longer than it reads: no route is asked."""
ASKED_FOR_THE_OTHER = {STREAM: "/model", JSON: "/agent"}
"""Both take messages, in so many forms that each of them is asked for one kind of answer."""


@dataclass
class Judge:
    """A check of ours beside those of schemathesis: the judge of the other tests.

    Attributes:
        openapi: The OpenAPI spec; None while unused.
        seen: How often a status and a type of content came, for each operation.
    """

    openapi: Document | None = None
    seen: Counter[tuple[str, int, str]] = field(default_factory=Counter)

    def check(self, response: Any, case: Any) -> None:
        assert self.openapi is not None
        path, method = case.operation.path, case.method.lower()
        if method not in self.openapi["paths"][path]:
            return  # schemathesis tries methods that there are not, and judges that itself
        if response.status_code == TOO_LONG:
            return
        kind = response.headers["content-type"][0]
        status, body = response.status_code, response.content
        self.seen[f"{method} {path}", status, kind.partition(";")[0]] += 1
        problems = judge_response(self.openapi, method, path, status, kind, body)
        assert not problems, problems


judge = Judge()


@schemathesis.check  # type: ignore[untyped-decorator, unused-ignore]
def conforms_to_the_spec(ctx: object, response: Any, case: Any) -> None:
    judge.check(response, case)


def drive(server: Server, openapi: Document, accept: str, examples: int = 8) -> list[str]:
    """Run schemathesis on every chain route, and return the problems."""
    judge.openapi, judge.seen = openapi, Counter()
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20_260_101,
            "base-url": server.url,
            "headers": {"Accept": accept},
            "continue-on-failure": True,
            "max-stream-events": MANY_EVENTS,
            "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
            "checks": {name: {"enabled": False} for name in LEFT_OUT},
            "phases": {"stateful": {"enabled": False}},  # one request is all there is to a turn
            "operations": OPERATIONS,
        }
    )
    routes = only(openapi, *{path for _, path in chain_operations(openapi)})
    schema = schemathesis.openapi.from_dict(routes, config=config)
    return [problem for event in from_schema(schema).execute() for problem in problems(event)]


def problems(event: Any) -> list[str]:
    if isinstance(event, events.NonFatalError):
        return [f"{event.label}: {event.value!r}"]
    if isinstance(event, events.FatalError):
        return [repr(event.exception)]
    if not isinstance(event, events.ScenarioFinished):
        return []
    return [
        f"{event.label}: {check.name}: {check.failure_info.failure.message}\n"
        f"{event.recorder.cases[case].value.as_curl_command()}"
        for case, checks in event.recorder.checks.items()
        if event.recorder.interactions[case].response.status_code != TOO_LONG
        for check in checks
        if check.failure_info is not None
    ]


def assert_all_asked(openapi: Document, accept: str) -> None:
    """Every route was asked what it takes and what it does not."""
    for method, path in chain_operations(openapi):
        name = f"{method} {path}"
        answers = judge.seen[name, 200, accept] + judge.seen[name, 500, JSON]
        assert answers >= 3, name
        assert judge.seen[name, 400, JSON] >= 1 or name == "get /unknown", name


@pytest.mark.parametrize("accept", [STREAM, JSON])
def test_the_example_app_conforms_to_its_openapi_spec(fast_example: Server, accept: str) -> None:
    openapi = fetch_documents(fast_example).openapi
    assert openapi["openapi"] == "3.2.0"
    found = drive(fast_example, openapi, accept, examples=25)
    assert not found, "\n\n".join(found)
    assert_all_asked(openapi, accept)


@pytest.mark.timeout(180)  # it takes a quarter of that where nobody else computes
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of a URL that is so long
@pytest.mark.parametrize("accept", [STREAM, JSON])
def test_routes_of_many_kinds_conform_to_their_openapi_spec(
    many_kinds: Server, accept: str
) -> None:
    whole = fetch_documents(many_kinds).openapi
    openapi = only(whole, *(set(whole["paths"]) - {ASKED_FOR_THE_OTHER[accept]}))
    found = drive(many_kinds, openapi, accept)
    assert not found, "\n\n".join(found)
    assert_all_asked(openapi, accept)


def only(openapi: Document, *paths: str) -> Document:
    """Return a copy of a spec with a few of its paths, to be changed."""
    changed = copy.deepcopy(openapi)
    changed["paths"] = {path: item for path, item in changed["paths"].items() if path in paths}
    return changed


def test_an_undocumented_event_fails_the_check(many_kinds: Server) -> None:
    openapi = only(fetch_documents(many_kinds).openapi, "/notices")
    union = openapi["components"]["schemas"]["NoticesEvent"]["oneOf"]
    union.remove({"$ref": "#/components/schemas/NoteEvent"})
    found = drive(many_kinds, openapi, STREAM, examples=3)
    assert any("components for the event 'note'" in problem for problem in found)
    assert any("response_schema_conformance" in problem for problem in found)


def test_a_wrong_payload_fails_the_check(many_kinds: Server) -> None:
    openapi = only(fetch_documents(many_kinds).openapi, "/text", "/notices")
    openapi["components"]["schemas"]["CompletionData"]["properties"]["token"] = {"type": "integer"}
    found = drive(many_kinds, openapi, STREAM, examples=3)
    assert {problem.split(":")[0] for problem in found} == {"GET /notices", "POST /notices"}
    assert any("response_schema_conformance" in problem for problem in found)


def test_a_wrong_answer_fails_the_check(many_kinds: Server) -> None:
    openapi = only(fetch_documents(many_kinds).openapi, "/text")
    openapi["components"]["schemas"]["TextAnswer"]["properties"]["output"] = {"type": "integer"}
    found = drive(many_kinds, openapi, JSON, examples=3)
    assert any("response_schema_conformance" in problem for problem in found)


def test_a_documented_input_that_is_refused_fails_the_check(many_kinds: Server) -> None:
    openapi = only(fetch_documents(many_kinds).openapi, "/text")
    openapi["components"]["schemas"]["TextInput"]["properties"]["question"] = {"type": "null"}
    found = drive(many_kinds, openapi, JSON, examples=3)
    assert any("positive_data_acceptance" in problem for problem in found)


def test_an_undocumented_input_that_is_accepted_fails_the_check(
    many_kinds: Server,
) -> None:
    openapi = only(fetch_documents(many_kinds).openapi, "/text")
    openapi["components"]["schemas"]["TextInput"]["properties"]["question"]["minLength"] = 100
    found = drive(many_kinds, openapi, JSON, examples=3)
    assert any("negative_data_rejection" in problem for problem in found)
