"""What is accepted as a chain factory; the live tests call them."""

import pytest
from langchain_classic.chains import ConversationChain, LLMChain
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import PromptTemplate

from quart_lanarky.adapters.langchain.service.factories import factory_of
from quart_lanarky.errors import ChainTypeError

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # all that is classic is deprecated
)

MODEL = FakeListChatModel(responses=["hi"])


async def test_a_ready_chain_serves_all_requests() -> None:
    factory = factory_of(MODEL)
    assert await factory() is await factory() is MODEL


def test_a_function_is_its_own_factory() -> None:
    def make() -> None:
        raise AssertionError("nothing is called before a request")

    assert factory_of(make) is make


@pytest.mark.parametrize("nothing", [None, 7, "chain", {}])
def test_an_object_that_is_neither_chain_nor_callable_is_refused(nothing: object) -> None:
    with pytest.raises(ChainTypeError, match="a chain or a function that makes one"):
        factory_of(nothing)  # type: ignore[arg-type]


def test_a_warning_is_logged_if_all_clients_would_share_a_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    factory_of(ConversationChain(llm=MODEL).with_config(tags=["x"]))
    assert "this ConversationChain has a memory, which all clients" in caplog.text


def test_no_warning_is_logged_for_a_chain_without_a_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    factory_of(LLMChain(llm=MODEL, prompt=PromptTemplate.from_template("{q}")))
    factory_of(lambda: ConversationChain(llm=MODEL))
    assert caplog.records == []
