"""This project."""

from quart import Quart

from benchmarks.apps.model import CHAIN
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
app.config["QUART_LANARKY_MAX_RUNS"] = None
lanarky = LanarkyExtension(app)
lanarky.add_chain("/json", CHAIN)
lanarky.add_chain("/text", CHAIN, mode="text")
