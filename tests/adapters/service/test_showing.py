"""`show=`: what leaves the server besides the answer, and how a request asks for less."""

from typing import Any

import pytest

from quart_lanarky.adapters.langchain.routing import stream_chain
from quart_lanarky.adapters.langchain.service.showing import check_show
from quart_lanarky.events import SHOWABLE


def test_a_route_may_show_each_of_them() -> None:
    check_show(SHOWABLE)
    check_show(())


@pytest.mark.parametrize("show", ["tools", ("tool",), ["tools", 1], ("",)])
def test_what_cannot_be_shown_is_refused_at_decoration(show: Any) -> None:
    with pytest.raises(ValueError, match=r"show= takes a tuple of 'tools', 'reasoning', 'steps'"):
        stream_chain(show=show)
