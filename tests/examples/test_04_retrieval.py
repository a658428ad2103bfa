"""The sources come after the answer, as many as were asked for."""

import pytest
from quart import Quart

from quart_lanarky.testing import RefusedError, answer_of, stream

ASKED = {"question": "Why does nginx hold back my events?"}


@pytest.mark.parametrize("k", [1, 2, 4])
async def test_the_sources_come_once_after_the_last_token(app: Quart, k: int) -> None:
    asked = stream(app.test_client(), "/qa", json=ASKED, query_string={"k": k})
    events = [event async for event in asked]
    assert answer_of(events).startswith("A proxy such as nginx that buffers responses")
    assert [event.name for event in events[-3:]] == ["completion", "source_documents", "end"]
    sources = events[-2].json()["source_documents"]
    assert sources[0]["metadata"]["title"] == "Proxies and buffering"
    assert len(sources) == k


@pytest.mark.parametrize("k", [0, 11, "many"])
async def test_an_invalid_number_of_sources_is_refused(app: Quart, k: int | str) -> None:
    with pytest.raises(RefusedError) as refused:
        await anext(stream(app.test_client(), "/qa", json=ASKED, query_string={"k": k}))
    assert (refused.value.status_code, list(refused.value.errors)) == (400, ["k"])
