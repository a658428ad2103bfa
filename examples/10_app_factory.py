"""An app factory and a blueprint: hypercorn "examples.10_app_factory:create_app()"

`create_app` makes an app, for the server one and for each test another. The extension is made
outside, without an app, and set up for each in `init_app`. Open `/playground`, or paste:

    curl -N http://127.0.0.1:8000/api/chat -H 'Content-Type: application/json' \
        -d '{"question": "What is a blueprint?"}'

    curl -N http://127.0.0.1:8000/qa -H 'Content-Type: application/json' \
        -d '{"query": "What is a blueprint?"}'

On the command line it is: quart --app "examples.10_app_factory:create_app()" lanarky routes
"""

from collections.abc import Mapping
from typing import Any

from langchain_classic.chains import RetrievalQA
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from quart import Blueprint, Quart

from examples.local_model import chat_model
from examples.retrieval import MarkdownRetriever
from quart_lanarky import LanarkyExtension, stream_chain

lanarky = LanarkyExtension(playground="/playground")
api = Blueprint("api", __name__, url_prefix="/api")

PROMPT = ChatPromptTemplate.from_template(
    "Context: A blueprint is a part of an app, with its routes.\n\nQuestion: {question}"
)


@api.post("/chat")
@api.websocket("/chat/ws")
@stream_chain
def chat() -> Runnable[Any, Any]:
    """Answer a question."""
    return PROMPT | chat_model()


def answer_from_library() -> Runnable[Any, Any]:
    """Answer from the library. Every app that is set up gets this route."""
    chain: Runnable[Any, Any] = RetrievalQA.from_chain_type(
        chat_model(), retriever=MarkdownRetriever.from_folder(), return_source_documents=True
    )
    return chain


lanarky.add_chain("/qa", answer_from_library)


def create_app(config: Mapping[str, Any] | None = None) -> Quart:
    """Make an app.

    Args:
        config: Settings, for a test say. They go before those of the environment, where
            `APP_QUART_LANARKY_MAX_RUNS=100` is the setting `QUART_LANARKY_MAX_RUNS`.
    """
    app = Quart(__name__)
    app.config.from_prefixed_env("APP")
    app.config.update(config or {})
    app.register_blueprint(api)
    lanarky.init_app(app)
    return app
