"""Media: the files of the message that the answer came in."""

import logging
from base64 import b64encode
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from quart_lanarky.adapters.langchain.handlers import media
from quart_lanarky.adapters.langchain.handlers.media import message_media
from tests.adapters.handlers.messages import Saying, events_of_chain

URL = "https://example.org/a.png"


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "image", "url": URL}, {"type": "image", "mime_type": None, "url": URL}),
        (
            {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
            {"type": "image", "mime_type": "image/png", "data": "AAAA"},
        ),
        (
            {"type": "file", "file_id": "f", "mime_type": "application/pdf"},
            {"type": "file", "mime_type": "application/pdf", "file_id": "f"},
        ),
        ({"type": "audio", "base64": "AAAA"}, {"type": "audio", "mime_type": None, "data": "AAAA"}),
        ({"type": "video", "url": URL}, {"type": "video", "mime_type": None, "url": URL}),
        (
            {"type": "image", "url": "data:image/gif;base64,AAAA"},
            {"type": "image", "mime_type": "image/gif", "data": "AAAA"},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/gif;base64,AAAA"}},
            {"type": "image", "mime_type": "image/gif", "data": "AAAA"},
        ),
        (
            {"type": "image_url", "image_url": {"url": URL}},
            {"type": "image", "mime_type": None, "url": URL},
        ),
        ({"type": "image"}, None),
        ({"type": "image", "base64": b"AAAA"}, None),
        ({"type": "text", "text": "hi", "url": URL}, None),
        ({"type": "text-plain", "url": URL}, None),
    ],
)
def test_files_are_read_from_blocks(block: dict[str, Any], expected: dict[str, Any] | None) -> None:
    found = message_media(AIMessage([{"type": "text", "text": "hi"}, block]))
    assert [each.model_dump(exclude_unset=True) for each in found] == [expected] * bool(expected)


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        ({"id": "a", "data": "AAAA", "transcript": "hi"}, ("audio", None, "AAAA")),
        (b"sound", ("audio", "audio/wav", b64encode(b"sound").decode())),
    ],
)
def test_sounds_beside_the_content_are_read(audio: Any, expected: Any) -> None:
    [found] = message_media(AIMessage("", additional_kwargs={"audio": audio}))
    assert (found.type, found.mime_type, found.data) == expected


async def drawing(message: AIMessage, show: tuple[str, ...] = ("media",)) -> list[Any]:
    return await events_of_chain(Saying(messages=[message]), "hi", show)


IMAGE = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}


async def test_files_come_after_the_answer() -> None:
    events = await drawing(AIMessage([IMAGE, {"type": "text", "text": "A bell."}]))
    sent = {"type": "image", "mime_type": "image/png", "data": "AAAA"}
    assert events == [("completion", "A bell."), ("media", sent)]


async def test_an_answer_may_be_a_file_alone() -> None:
    assert [name for name, _ in await drawing(AIMessage([IMAGE]))] == ["media"]
    assert await drawing(AIMessage([IMAGE]), show=()) == []


async def test_of_a_file_that_is_too_large_only_the_type_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(media, "MAX_MEDIA_CHARACTERS", 3)
    media._warn_too_large.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            events = await drawing(AIMessage([IMAGE]))
            assert events == [("media", {"type": "image", "mime_type": "image/png"})]
    assert caplog.text.count("a file of an answer was not sent") == 1
