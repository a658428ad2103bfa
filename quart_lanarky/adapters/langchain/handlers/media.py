"""The handler of media: the images, sounds, videos and other files of an answer."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, Final, get_args

from langchain_core.messages import BaseMessage

from ....events import MEDIA, Event, MediaData, payload_event
from .answer_messages import AnswerMessage, AnswerMessageHandler

__all__ = ["MAX_MEDIA_CHARACTERS", "MediaHandler", "message_media"]

logger = logging.getLogger(__name__)

MAX_MEDIA_CHARACTERS: Final = 10 * 2**20
"""How many characters of base64 a file may have to be sent: 7.5 MB, several times what a generated
image has. An event is in memory as a whole, here and at the client, and more than once."""

_KINDS: Final = get_args(MediaData.model_fields["type"].annotation)


class MediaHandler(AnswerMessageHandler):
    """Sends the files of the answer, when it is known what the answer is.

    A file that is too large is announced without its data.
    """

    events: ClassVar[Mapping[str, Any]] = {MEDIA: MediaData}

    def _events_of(self, answer: AnswerMessage) -> list[Event]:
        return [payload_event(MEDIA, media) for media in message_media(answer.message)]


def message_media(message: BaseMessage) -> list[MediaData]:
    """Return the files in a message, in their order."""
    blocks = [block for block in _blocks(message) if isinstance(block, Mapping)]
    return [media for block in blocks if (media := _media(block)) is not None]


def _blocks(message: BaseMessage) -> Iterator[Any]:
    yield from message.content_blocks
    audio = message.additional_kwargs.get("audio")
    if isinstance(audio, bytes):  # Google
        yield {"type": "audio", "mime_type": "audio/wav", "base64": b64encode(audio).decode()}
    elif isinstance(audio, Mapping):  # OpenAI, which does not say which format was asked for
        yield {"type": "audio", "base64": audio.get("data")}


def _media(block: Mapping[str, Any]) -> MediaData | None:
    """Return the file that a block of content is; None if it is none."""
    kind, url = block.get("type"), block.get("url")
    if kind == "image_url":
        given = block["image_url"]
        kind, url = "image", given.get("url") if isinstance(given, Mapping) else given
    mime_type, data = block.get("mime_type"), block.get("base64")
    if isinstance(url, str) and url.startswith("data:"):
        head, _, data = url.partition(",")
        mime_type, url = head[len("data:") :].partition(";")[0] or mime_type, None
    where = {"url": url, "data": data, "file_id": block.get("file_id")}
    place = next(((key, text) for key, text in where.items() if text), None)
    if kind not in _KINDS or place is None or not isinstance(place[1], str):
        return None
    if len(place[1]) > MAX_MEDIA_CHARACTERS:
        _warn_too_large()
        return MediaData(type=kind, mime_type=mime_type)
    return MediaData(type=kind, mime_type=mime_type, **dict([place]))


@cache
def _warn_too_large() -> None:
    """Tell the developer once that a file was not sent."""
    logger.warning(
        "a file of an answer was not sent, for it has more than %d characters of base64: let the "
        "model's provider keep such files, and send their address or id",
        MAX_MEDIA_CHARACTERS,
    )
