"""A decision model, which some middleware asks in place of a chat model."""

from typing import Any

from langchain_core.decisions import BaseDecisionModel, ClassifierResponse


class Decides(BaseDecisionModel):
    """Takes the first choice, and takes every tool call for a risk."""

    model: str = "decides"

    @property
    def _provider(self) -> str:
        return "nobody"

    def _classify(self, state: Any, questions: dict[str, Any]) -> ClassifierResponse:
        answers = {name: _answer(question) for name, question in questions.items()}
        return ClassifierResponse.model_validate({"model": self.model, "answers": answers})


def _answer(question: Any) -> dict[str, Any]:
    if question.type == "noul":
        return {"type": "noul", "noul": 1.0}
    first, *others = question.criteria
    shares = {first: 1.0, **dict.fromkeys(others, 0.0)}
    return {"type": "choice", "choice": first, "probabilities": shares, "confidence": 1.0}
