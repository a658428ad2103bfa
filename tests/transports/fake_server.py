"""A server's side of an ASGI connection, as far as the transports look at it."""

from typing import Any


class Stream:
    """Stands for a stream of Hypercorn's."""

    closed: Any

    def __init__(self, **attributes: Any) -> None:
        self.__dict__ |= attributes

    async def app_send(self, message: Any) -> None: ...


class Holder:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__ |= attributes


async def send(message: Any) -> None: ...
