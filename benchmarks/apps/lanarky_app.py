"""lanarky 0.8, with the chain that it knows: LangChain before 0.3."""

from fastapi import FastAPI
from lanarky.adapters.langchain.routing import LangchainAPIRouter
from langchain.chains import LLMChain

from benchmarks.apps.model import PROMPT, PacedModel

app = FastAPI()
router = LangchainAPIRouter()


@router.post("/answer")
def chain() -> LLMChain:
    """Make the chain of one request."""
    return LLMChain(llm=PacedModel(), prompt=PROMPT)


app.include_router(router)
