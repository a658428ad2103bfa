"""lanarky 0.8, with the chain that it knows: LangChain before 0.3."""

from fastapi import FastAPI
from lanarky.adapters.langchain.routing import LangchainAPIRouter
from langchain.chains import LLMChain
from langchain_core.prompts import ChatPromptTemplate

from benchmarks.apps.model import PacedModel

app = FastAPI()
router = LangchainAPIRouter()


@router.post("/answer")
def chain() -> LLMChain:
    """Make the chain of one request."""
    return LLMChain(llm=PacedModel(), prompt=ChatPromptTemplate.from_template("{question}"))


app.include_router(router)
