"""LangServe."""

from fastapi import FastAPI
from langchain_core.prompts import ChatPromptTemplate
from langserve import add_routes

from benchmarks.apps.model import PacedModel

app = FastAPI()
add_routes(app, ChatPromptTemplate.from_template("{question}") | PacedModel(), path="/answer")
