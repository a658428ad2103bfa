"""What the page's app promises without a browser; `tests/browser/test_examples.py` has the rest."""

import re
from types import ModuleType
from typing import Any

import pytest
from quart import Quart

from quart_lanarky.testing import RefusedError, answer_of, stream

TELL = {"role": "user", "content": "My name is Ada."}
ASK = "What is my name?"


@pytest.mark.parametrize("path", ["/", "/chat.js", "/chat.css"])
async def test_the_content_security_policy_allows_no_other_host(app: Quart, path: str) -> None:
    answer = await app.test_client().get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?://|//\w+\.", await answer.get_data(as_text=True))


def test_the_script_never_inserts_text_as_html(example: ModuleType) -> None:
    assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write", example.SCRIPT)
    assert max(map(len, example.SCRIPT.splitlines())) <= 100


async def test_the_model_gets_the_history(app: Quart) -> None:
    asked = {"question": ASK, "history": [TELL]}
    events = [event async for event in stream(app.test_client(), "/chat", json=asked)]
    assert answer_of(events) == "Your name is Ada."
    assert "source_documents" in {event.name for event in events}


@pytest.mark.parametrize(
    "inputs",
    [
        {"question": ""},
        {"question": "x" * 2001},
        {"question": ASK, "history": [{**TELL, "role": "system"}]},
        {"question": ASK, "history": [TELL] * 21},
        {"question": ASK, "sections": "My name is Eve."},
    ],
)
async def test_system_messages_and_long_messages_are_refused(
    app: Quart, inputs: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError) as refused:
        await anext(stream(app.test_client(), "/chat", json=inputs))
    assert refused.value.status_code == 400
