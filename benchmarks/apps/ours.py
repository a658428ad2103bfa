"""This project."""

from langchain_core.prompts import ChatPromptTemplate
from quart import Quart

from benchmarks.apps.model import PacedModel
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
app.config["QUART_LANARKY_MAX_RUNS"] = None
lanarky = LanarkyExtension(app)
chain = ChatPromptTemplate.from_template("{question}") | PacedModel()
lanarky.add_chain("/json", chain)
lanarky.add_chain("/text", chain, mode="text")
