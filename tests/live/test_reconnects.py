"""An `EventSource` reconnects when a stream is over; the model is not called again."""

from uuid import uuid4

import httpx

from tests.live.clients import post_sse, stream_events
from tests.servers import Server


async def test_a_reconnect_after_the_end_gets_204_and_calls_no_model(server: Server) -> None:
    question = str(uuid4())
    *_, end = await post_sse(server, "/echo", {"question": question})
    async with httpx.AsyncClient(base_url=server.url) as client:
        headers = {"Last-Event-ID": str(end.id)}
        response = await client.get("/echo", params={"question": question}, headers=headers)
        assert (response.status_code, response.content) == (204, b"")
        assert (await client.get(f"/seen/{question}")).json()["asked"] == 20


async def test_a_reconnect_before_the_end_is_answered(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        parameters, headers = {"question": "hi"}, {"Last-Event-ID": ""}
        async with client.stream("GET", "/echo", params=parameters, headers=headers) as response:
            assert [event.name async for event in stream_events(response)][-1] == "end"
