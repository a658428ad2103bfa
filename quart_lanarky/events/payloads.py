"""The payloads of the events: what `data` has in `json` mode, as Pydantic models.

A field that most events of a kind do not have is absent where it says nothing, and not null.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel
from pydantic.json_schema import SkipJsonSchema

from ..errors import FieldProblem

__all__ = [
    "CitationData",
    "CompletionData",
    "CustomEventData",
    "EndData",
    "ErrorData",
    "Interrupt",
    "InterruptData",
    "MediaData",
    "Outcome",
    "PingData",
    "ReasoningData",
    "RetractData",
    "SourceDocument",
    "SourceDocumentsData",
    "StepData",
    "ToolCallData",
    "ToolProgressData",
    "ToolResultData",
]

Outcome = Literal["finished", "interrupted", "cancelled", "failed"]
"""How a run ended: with its answer; at an interrupt, which a person has to answer; because its
client, a reader or the server cancelled it; or with an error."""


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)  # of a field that is absent unless it says something


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")  # no field that the API docs lack


class CompletionData(_Payload):
    """Some more of the answer."""

    token: str = Field(description="The text to add to what came before.")


class RetractData(_Payload):
    """The last tokens turned out not to be the answer: take them back."""

    tokens: int = Field(ge=1, description="How many of the last `completion` events to take back.")


class SourceDocument(_Payload):
    """One source document of the answer."""

    page_content: str = Field(description="The text.")
    metadata: dict[str, JsonValue] = Field(description="What its owner noted about it.")
    id: str | None = Field(description="Its id, if it has one.")
    type: str = Field(description="What kind of object it is, such as `Document`.")


class SourceDocumentsData(_Payload):
    """The source documents of the answer."""

    source_documents: list[SourceDocument] = Field(
        description="Best first, each once; empty when nothing was found."
    )


class Interrupt(_Payload):
    """One question of a graph, or one of its steps before or after which it waits."""

    id: str = Field(description='Under which it is answered: `{"resume": {id: answer}}`.')
    value: JsonValue = Field(description="What the graph asks; null where it only waits.")
    response_schema: dict[str, JsonValue] | None = Field(
        description="The JSON schema of its answer, where the graph says so."
    )
    step: str | SkipJsonSchema[None] = Field(
        default=None,
        description="The step before or after which the graph waits by `interrupt_before=` or "
        "`interrupt_after=`; else absent.",
        json_schema_extra=_without_default,
    )


class InterruptData(_Payload):
    """The graph waits for a person, who answers with `{"resume": ...}`."""

    interrupts: list[Interrupt] = Field(min_length=1, description="All that it waits for.")


class _InGraph(_Payload):
    namespace: list[str] = Field(
        default=[],
        description="Where it happens inside a graph in a graph, such as the steps that lead to "
        "a subagent; absent for the graph itself.",
        json_schema_extra=_without_default,
    )


class ToolCallData(_InGraph):
    """An agent calls a tool."""

    id: str = Field(description="The id of the call, which its progress and its result have too.")
    name: str = Field(description="The name of the tool.")
    args: dict[str, JsonValue] = Field(description="What it is called with.")


class ToolProgressData(_InGraph):
    """A tool says how far it is."""

    id: str = Field(description="The id of the call.")
    data: JsonValue = Field(description="What the tool says.")


class ToolResultData(_InGraph):
    """A tool has ended."""

    id: str = Field(description="The id of the call.")
    name: str = Field(description="The name of the tool.")
    status: Literal["success", "error"] = Field(description="How it ended.")
    content: JsonValue = Field(
        description="What the model is told: a text, or content blocks. The text of an exception "
        "stays in the log."
    )


class ReasoningData(_Payload):
    """Some more of what the model thinks, as its provider gives it. It is no part of the answer."""

    token: str = Field(description="The text to add to what came before.")


class StepData(_InGraph):
    """A step of a graph, or a subagent, has begun or ended."""

    name: str = Field(description="The name of the step: of a graph's node, or of a subagent.")
    namespace: list[str] = Field(
        description="The steps, from the outermost on, inside which it runs; empty for those of "
        "the graph itself."
    )
    status: Literal["started", "finished", "interrupted", "failed"] = Field(
        description="What has happened to it."
    )
    agent: str | SkipJsonSchema[None] = Field(
        default=None,
        description="The name of the agent whose step it is, where it has one; else absent.",
        json_schema_extra=_without_default,
    )


class CustomEventData(_InGraph):
    """Something that a node or a tool of the app sends, of its own."""

    name: str | None = Field(
        description="The name given to `adispatch_custom_event`; null for what was written with "
        "`get_stream_writer()`."
    )
    data: JsonValue = Field(description="What was sent.")


class CitationData(_Payload):
    """Where a part of the answer comes from, as the model's provider says it."""

    start: int | None = Field(
        description="Where the cited part of the answer begins, in characters (code points) of "
        "its text; null where the provider does not say."
    )
    end: int | None = Field(description="Where it ends, the character before which it stops.")
    url: str | None = Field(description="The source's address, if it has one.")
    title: str | None = Field(description="The source's title, if it has one.")
    cited_text: str | None = Field(description="The text in the source, if the provider says it.")


class MediaData(_Payload):
    """A file of the answer: an image, a sound, a video or another one.

    One of `url`, `data` and `file_id` says where it is; none if it is too large to be sent.
    """

    type: Literal["image", "audio", "video", "file"] = Field(description="What kind of file.")
    mime_type: str | None = Field(description="Its media type, such as `image/png`, if known.")
    url: str | SkipJsonSchema[None] = Field(
        default=None, description="Its address.", json_schema_extra=_without_default
    )
    data: str | SkipJsonSchema[None] = Field(
        default=None, description="The file in base64.", json_schema_extra=_without_default
    )
    file_id: str | SkipJsonSchema[None] = Field(
        default=None, description="Its id at the provider.", json_schema_extra=_without_default
    )


class ErrorData(_Payload):
    """Why there is no (complete) answer, in HTTP's terms."""

    status_code: int = Field(description="A status code of HTTP, such as 500.")
    detail: str = Field(description="The reason, for people.")
    retry_after: Annotated[int, Field(ge=1)] | SkipJsonSchema[None] = Field(
        default=None,
        description="After how many seconds to try again, where that is known; else it is absent.",
        json_schema_extra=_without_default,
    )
    errors: list[FieldProblem] = Field(
        default=[],
        description="What is wrong with each field of the inputs, where that is why; else absent.",
        json_schema_extra=_without_default,
    )


class EndData(_Payload):
    """The stream is complete."""

    run_id: str = Field(description="The id under which the server logged this run.")
    usage: dict[str, JsonValue] | None = Field(
        description="What the run cost, such as `input_tokens` and `output_tokens`; null where "
        "the model does not say."
    )
    outcome: Outcome = Field(
        description="How the run ended: `finished`, `interrupted` (it waits for the answer to an "
        "`interrupt`), `cancelled` or `failed`."
    )


class PingData(RootModel[None]):
    """A sign of life, about no turn. Whoever answers `{"event": "pong"}` is not taken for gone."""
