"""Serve a chain from the installed wheel, with nothing but its own dependencies."""

import asyncio
import importlib.metadata
import importlib.util

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from quart import Quart

import quart_lanarky
from quart_lanarky import LanarkyExtension, stream_chain

assert importlib.util.find_spec("langchain_classic") is None, "the extra must not be needed"
assert importlib.util.find_spec("flask_swagger_ui") is None, "nor this one"
assert importlib.metadata.version("quart-lanarky") == quart_lanarky.__version__

app = Quart(__name__)
LanarkyExtension(app, playground="/playground")


@app.post("/chat")
@stream_chain
def chat():
    model = GenericFakeChatModel(messages=iter([AIMessage("hello world")]))
    return ChatPromptTemplate.from_template("{question}") | model


async def main() -> None:
    response = await app.test_client().post("/chat", json={"question": "hi"})
    stream = await response.get_data(as_text=True)
    assert 'event: completion\ndata: {"token": "hello"}\n\n' in stream, stream
    assert stream.count("event: end\n") == 1, stream

    spec = await (await app.test_client().get("/openapi.json")).get_json()
    assert "question" in spec["components"]["schemas"]["ChatInput"]["properties"], spec
    for page in ("/docs", "/docs/websockets"):  # without the extra, from a delivery network
        text = await (await app.test_client().get(page)).get_data(as_text=True)
        assert 'src="https://' in text, text
    for path in ("", "/assets/page.js", "/assets/style.css", "/assets/icon.svg"):
        assert (await app.test_client().get(f"/playground{path}")).status == "200 OK", path
    print(f"quart-lanarky {quart_lanarky.__version__}: the wheel works")


asyncio.run(main())
