"""The handler of citations: where a model says that parts of its answer come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from langchain_core.messages import BaseMessage

from ....events import CITATION, CitationData, Event, payload_event
from .answer_messages import AnswerMessage, AnswerMessageHandler

__all__ = ["CitationHandler", "message_citations"]


class CitationHandler(AnswerMessageHandler):
    """Sends the citations of the answer, each once, when it is known what the answer is.

    What was taken back, or replaced by another output, leaves no citation behind.
    """

    events: ClassVar[Mapping[str, Any]] = {CITATION: CitationData}

    def _events_of(self, answer: AnswerMessage) -> list[Event]:
        citations = (_moved(each, answer) for each in message_citations(answer.message))
        return [payload_event(CITATION, each) for each in dict.fromkeys(filter(None, citations))]


def _moved(citation: CitationData, answer: AnswerMessage) -> CitationData | None:
    """Return a citation with its place in the answer; None if the answer lacks that part."""
    if citation.start is None or citation.end is None:
        return citation
    start, end = citation.start + answer.offset, citation.end + answer.offset
    if end <= 0 or start >= answer.length > 0:
        return None
    return citation.model_copy(update={"start": max(0, start), "end": min(end, answer.length)})


# -- extraction ----------------------------------------------------------------------------


def message_citations(message: BaseMessage) -> list[CitationData]:
    """Return the citations in a message; their places are in characters of its text."""
    grounding = message.response_metadata.get("grounding_metadata")
    if isinstance(grounding, Mapping):  # Google: in bytes, and beside the content
        return list(_in_grounding(grounding, str(message.text)))
    blocks = [block for block in message.content_blocks if block.get("type") == "text"]
    citations = list(_in_texts(blocks))
    if "".join(str(block.get("text") or "") for block in blocks) == str(message.text):
        return citations
    # The message has text outside of its blocks, so that their places in it are not known.
    return [each.model_copy(update={"start": None, "end": None}) for each in citations]


def _in_texts(blocks: Sequence[Mapping[str, Any]]) -> Iterator[CitationData]:
    """Yield the citations of blocks of text: their places are those in their own block."""
    before = 0
    for block in blocks:
        text = str(block.get("text") or "")
        for annotation in block.get("annotations") or ():
            if isinstance(annotation, Mapping) and annotation.get("type") == "citation":
                yield _citation(annotation, before, text)
        before += len(text)


def _citation(annotation: Mapping[str, Any], before: int, text: str) -> CitationData:
    start, end = _range(annotation, text)
    return CitationData(
        start=None if start is None else before + start,
        end=None if end is None else before + end,
        url=_text(annotation, "url"),
        title=_text(annotation, "title"),
        cited_text=_text(annotation, "cited_text"),
    )


def _range(annotation: Mapping[str, Any], text: str) -> tuple[int | None, int | None]:
    """Return the part of a text that a citation is about.

    One that quotes its source and says no place, as Anthropic's do, is about the whole block.
    """
    start, end = annotation.get("start_index"), annotation.get("end_index")
    if isinstance(start, int) and isinstance(end, int):
        return (start, end) if 0 <= start <= end <= len(text) else (None, None)
    return (0, len(text)) if text and annotation.get("cited_text") else (None, None)


def _in_grounding(grounding: Mapping[str, Any], text: str) -> Iterator[CitationData]:
    """Yield what Gemini says that parts of its text come from."""
    sources = grounding.get("grounding_chunks") or ()
    for support in grounding.get("grounding_supports") or ():
        start, end = _segment(support.get("segment") or {}, text)
        for index in support.get("grounding_chunk_indices") or ():
            source = _source(sources[index]) if 0 <= index < len(sources) else {}
            yield CitationData(
                start=start,
                end=end,
                url=_text(source, "uri"),
                title=_text(source, "title"),
                cited_text=_text(source, "text"),
            )


def _source(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a chunk is of: the web, a map, a document; the others are null."""
    kinds = (chunk.get(kind) for kind in ("web", "maps", "retrieved_context"))
    return next((kind for kind in kinds if isinstance(kind, Mapping)), {})


def _segment(segment: Mapping[str, Any], text: str) -> tuple[int | None, int | None]:
    """Return a segment in characters. Its indices are in bytes, in one of the parts of the text."""
    said = segment.get("text")
    if not isinstance(said, str) or not said:
        return None, None
    begin = segment.get("start_index")
    hint = len(text.encode()[:begin].decode(errors="ignore")) if isinstance(begin, int) else 0
    if not text.startswith(said, hint):
        hint = text.find(said)
    return (hint, hint + len(said)) if hint >= 0 else (None, None)


def _text(source: Mapping[str, Any], key: str) -> str | None:
    value = source.get(key)
    return value if isinstance(value, str) and value else None
