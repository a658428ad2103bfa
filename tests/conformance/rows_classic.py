"""Chains of old, without retrieval and agents."""

import json
from collections.abc import Callable
from typing import Any

from langchain_classic.chains import (
    AnalyzeDocumentChain,
    ConversationChain,
    LLMChain,
    MapReduceDocumentsChain,
    ReduceDocumentsChain,
    RefineDocumentsChain,
    SequentialChain,
    SimpleSequentialChain,
    StuffDocumentsChain,
    TransformChain,
)
from langchain_classic.chains.base import Chain
from langchain_classic.chains.router import MultiPromptChain
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import CommaSeparatedListOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import Runnable
from langchain_text_splitters import CharacterTextSplitter

from tests.conformance.models import SECRET, Kit, everything, when
from tests.conformance.rows import ANSWER, Group

group = Group("classic")

PROMPT = PromptTemplate.from_template("{question}")
INPUTS = {"question": "Two things?"}
THOUGHT = f"{SECRET}: a draft"


# -- one model -----------------------------------------------------------------------------


@group.row(inputs=INPUTS, answer=ANSWER, key="text")
def llm_chain(kit: Kit) -> Runnable[Any, Any]:
    return LLMChain(llm=kit.chat(ANSWER), prompt=PROMPT)


@group.row(inputs=INPUTS, answer=ANSWER, key="text", streams="any")
def llm_chain_of_an_llm(kit: Kit) -> Runnable[Any, Any]:
    return LLMChain(llm=kit.llm(ANSWER), prompt=PROMPT)


@group.row(inputs=INPUTS, answer=ANSWER, key="reply")
def llm_chain_with_another_output_key(kit: Kit) -> Runnable[Any, Any]:
    return LLMChain(llm=kit.chat(ANSWER), prompt=PROMPT, output_key="reply", tags=["mine"])


@group.row(inputs=INPUTS, answer='["red", "green"]', key="text", structured=True, streams="never")
def llm_chain_with_a_parser(kit: Kit) -> Runnable[Any, Any]:
    return LLMChain(
        llm=kit.chat("red, green"), prompt=PROMPT, output_parser=CommaSeparatedListOutputParser()
    )


@group.row(
    inputs={"input": "I am Ada."},
    answer=ANSWER,
    key="response",
    then=({"input": "Who am I?"}, f"Ada.\n{ANSWER}"),
)
def conversation_chain(kit: Kit) -> Runnable[Any, Any]:
    def script(messages: list[Any]) -> str:
        asked = everything(messages)
        if "Human: Who am I?" not in asked:
            return ANSWER
        known = "Human: I am Ada." in asked and f"AI: {ANSWER}" in asked
        return f"Ada.\n{ANSWER}" if known else "Who knows?"

    return ConversationChain(llm=kit.chat(script))


# -- chains of chains ----------------------------------------------------------------------


def llm_chains(kit: Kit) -> list[Chain]:
    return [
        LLMChain(llm=kit.chat(THOUGHT, "drafter"), prompt=PROMPT, output_key="draft"),
        LLMChain(
            llm=kit.chat(ANSWER),
            prompt=PromptTemplate.from_template("Improve {draft}"),
            output_key="final",
        ),
    ]


@group.row(inputs=INPUTS, answer=ANSWER, key="final")
def sequential_chain(kit: Kit) -> Runnable[Any, Any]:
    return SequentialChain(chains=llm_chains(kit), input_variables=["question"])


@group.row(
    inputs=INPUTS,
    answer=ANSWER,
    options={"output_key": "final"},
)
def sequential_chain_with_two_outputs(kit: Kit) -> Runnable[Any, Any]:
    return SequentialChain(
        chains=llm_chains(kit),
        input_variables=["question"],
        output_variables=["draft", "final"],
    )


@group.row(inputs={"input": "Two things?"}, answer=ANSWER, key="output")
def simple_sequential_chain(kit: Kit) -> Runnable[Any, Any]:
    return SimpleSequentialChain(chains=llm_chains(kit))


@group.row(inputs={"input": "Two things?"}, answer=ANSWER.upper(), key="output", streams="never")
def simple_sequential_chain_that_ends_with_a_function(kit: Kit) -> Runnable[Any, Any]:
    return SimpleSequentialChain(chains=[*llm_chains(kit), shouts()])


def shouts() -> Chain:
    return TransformChain(
        input_variables=["text"],
        output_variables=["loud"],
        transform=lambda inputs: {"loud": inputs["text"].upper()},
    )


@group.row(inputs={"text": "two\n  things"}, answer="TWO\n  THINGS", key="loud", streams="never")
def transform_chain(kit: Kit) -> Runnable[Any, Any]:
    return shouts()


@group.row(inputs={"input": "How much is it?"}, answer=ANSWER, key="text")
def router_chain(kit: Kit) -> Runnable[Any, Any]:
    """The same model routes and answers."""
    route = {"destination": "maths", "next_inputs": f"{SECRET}: how much?"}
    return multi_prompt(kit, f"```json\n{json.dumps(route)}\n```")


@group.row(inputs={"input": "Who?"}, answer=ANSWER, key="text")
def router_chain_to_its_default(kit: Kit) -> Runnable[Any, Any]:
    route = {"destination": "DEFAULT", "next_inputs": f"{SECRET}: who?"}
    return multi_prompt(kit, f"```json\n{json.dumps(route)}\n```", default=ANSWER)


def multi_prompt(kit: Kit, route: str, default: str = SECRET) -> Runnable[Any, Any]:
    says = when(("<< FORMATTING >>", route), otherwise=ANSWER)
    prompts = [
        {
            "name": name,
            "description": f"Good at {name}",
            "prompt_template": f"You know {name}. {{input}}",
        }
        for name in ("maths", "music")
    ]
    last = LLMChain(
        llm=kit.chat(default, "default"), prompt=PromptTemplate.from_template("{input}")
    )
    return MultiPromptChain.from_prompts(kit.chat(says), prompts, default_chain=last)


# -- chains of documents -------------------------------------------------------------------

PAGES = {"input_documents": [Document("The moon pulls."), Document("The tide follows.")]}
BOOK = {"input_document": "The moon pulls.\n\nThe tide follows."}


def stuffs(kit: Kit, says: str = ANSWER) -> StuffDocumentsChain:
    prompt = PromptTemplate.from_template("Sum up {context}")
    chain = LLMChain(llm=kit.chat(says), prompt=prompt)
    return StuffDocumentsChain(llm_chain=chain, document_variable_name="context")


def map_reduces(kit: Kit) -> MapReduceDocumentsChain:
    return MapReduceDocumentsChain(
        llm_chain=LLMChain(
            llm=kit.chat(f"{SECRET}: one page says", "mapper"),
            prompt=PromptTemplate.from_template("Shorten {page}"),
        ),
        reduce_documents_chain=ReduceDocumentsChain(combine_documents_chain=stuffs(kit)),
        document_variable_name="page",
    )


def refines(kit: Kit) -> RefineDocumentsChain:
    return RefineDocumentsChain(
        initial_llm_chain=LLMChain(
            llm=kit.chat(THOUGHT, "first"), prompt=PromptTemplate.from_template("Sum up {page}")
        ),
        refine_llm_chain=LLMChain(
            llm=kit.chat(ANSWER), prompt=PromptTemplate.from_template("Refine {draft} by {page}")
        ),
        document_variable_name="page",
        initial_response_name="draft",
    )


@group.row(inputs=PAGES, answer=ANSWER, key="output_text")
def stuff_documents(kit: Kit) -> Runnable[Any, Any]:
    return stuffs(kit)


@group.row(inputs=PAGES, answer=ANSWER, key="output_text")
def map_reduce_documents(kit: Kit) -> Runnable[Any, Any]:
    return map_reduces(kit)


@group.row(inputs=PAGES, answer=ANSWER, key="output_text", streams="never")
def refine_documents(kit: Kit) -> Runnable[Any, Any]:
    return refines(kit)


def analyzes(chain: Any) -> Runnable[Any, Any]:
    splitter = CharacterTextSplitter(chunk_size=20, chunk_overlap=0)
    return AnalyzeDocumentChain(combine_docs_chain=chain, text_splitter=splitter)


@group.row(inputs=BOOK, answer=ANSWER, key="output_text")
def analyze_document_map_reduce(kit: Kit) -> Runnable[Any, Any]:
    return analyzes(map_reduces(kit))


@group.row(inputs=BOOK, answer=ANSWER, key="output_text", streams="never")
def analyze_document_refine(kit: Kit) -> Runnable[Any, Any]:
    return analyzes(refines(kit))


# -- a user's own --------------------------------------------------------------------------


class Own(Chain):
    """What chains of one's own share."""

    model: BaseChatModel
    compute: Callable[[str], str] = str

    @property
    def input_keys(self) -> list[str]:
        return ["question"]

    @property
    def output_keys(self) -> list[str]:
        return ["result"]


class SyncOwn(Own):
    """Has only `_call`."""

    def _call(self, inputs: dict[str, Any], run_manager: Any = None) -> dict[str, Any]:
        config = {"callbacks": run_manager.get_child() if run_manager else None}
        return {"result": self.compute(self.model.invoke(inputs["question"], config).text)}


class AsyncOwn(Own):
    """Has only `_acall`."""

    def _call(self, inputs: dict[str, Any], run_manager: Any = None) -> dict[str, Any]:
        raise NotImplementedError

    async def _acall(self, inputs: dict[str, Any], run_manager: Any = None) -> dict[str, Any]:
        config = {"callbacks": run_manager.get_child() if run_manager else None}
        said = await self.model.ainvoke(inputs["question"], config)
        return {"result": self.compute(said.text)}


def multiply(formula: str) -> str:
    """Compute what the model wrote, as LLMMathChain does."""
    left, right = formula.removeprefix(SECRET).split("*")
    return f"Answer: {int(left) * int(right)}"


@group.row(inputs=INPUTS, answer="Answer: 391", key="result", streams="never")
def chain_that_computes(kit: Kit) -> Runnable[Any, Any]:
    return AsyncOwn(model=kit.chat(f"{SECRET}17*23"), compute=multiply)


@group.row(inputs=INPUTS, answer="Answer: 391", key="result", streams="never")
def sync_chain_that_computes(kit: Kit) -> Runnable[Any, Any]:
    return SyncOwn(model=kit.chat(f"{SECRET}17*23"), compute=multiply)


@group.row(inputs=INPUTS, answer=ANSWER, key="result", streams="never")
def own_sync_chain(kit: Kit) -> Runnable[Any, Any]:
    return SyncOwn(model=kit.chat(ANSWER))


@group.row(inputs=INPUTS, answer=ANSWER, key="result", streams="never")
def own_async_chain(kit: Kit) -> Runnable[Any, Any]:
    return AsyncOwn(model=kit.chat(ANSWER))


@group.row(
    inputs={"question": "Two things?"}, answer=ANSWER, options={"final_tag": "speaks"}, key="result"
)
def own_chain_with_a_final_tag(kit: Kit) -> Runnable[Any, Any]:
    model = kit.chat(ANSWER).model_copy(update={"tags": ["speaks"]})
    return AsyncOwn(model=model)
