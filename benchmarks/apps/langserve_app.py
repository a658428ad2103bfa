"""LangServe."""

from fastapi import FastAPI
from langserve import add_routes

from benchmarks.apps.model import CHAIN

app = FastAPI()
add_routes(app, CHAIN, path="/answer")
