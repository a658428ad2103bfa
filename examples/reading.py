"""Answering a question with the sentences of a text that fit it best."""

import re
from collections import Counter
from math import log

from examples.statements import asks_back, is_statement, said_back
from examples.words import content_words

_MAX_SENTENCES = 3
# A sentence belongs to the answer if it is at least this good, compared with the best one.
_GOOD_ENOUGH = 0.6
# A sentence that begins with a word of the question is most likely about it.
_SUBJECT_BONUS = 1.5

_HEADING = re.compile(r"^ *#{1,6} .*$", re.MULTILINE)
_BLOCK_BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\w+:) )")
_SENTENCE_BREAK = re.compile(r"(?<=[.!?])\s+(?=[^a-z\s])")


def answer(question: str, material: str) -> str | None:
    """Return one to three sentences of the material, in their order, or None if nothing fits."""
    sentences = split_sentences(material)
    told = [sentence for sentence in sentences if is_statement(sentence)]
    # "What is my name?" is for what its author told, whatever else is said about names.
    return (_best(question, told) if asks_back(question) else None) or _best(question, sentences)


def _best(question: str, sentences: list[str]) -> str | None:
    scores = _scores(question, sentences)
    best = max(scores, default=0.0)
    if best == 0.0:
        return None
    good = [i for i, score in enumerate(scores) if score >= best * _GOOD_ENOUGH]
    chosen = sorted(sorted(good, key=lambda i: -scores[i])[:_MAX_SENTENCES])
    return " ".join(said_back(sentences[i]) for i in chosen)


def split_sentences(text: str) -> list[str]:
    """Split a text into its statements: headings and questions state nothing."""
    blocks = _BLOCK_BREAK.split(_HEADING.sub("\n", text))
    lines = (" ".join(block.split()) for block in blocks)
    found = [sentence for line in lines for sentence in _SENTENCE_BREAK.split(line)]
    return [sentence for sentence in found if sentence and not sentence.endswith("?")]


def _scores(question: str, sentences: list[str]) -> list[float]:
    """Score each sentence by the words it shares with the question; a rare word weighs more."""
    asked = set(content_words(question))
    found = [content_words(sentence) for sentence in sentences]
    frequency = Counter(word for words in found for word in asked & set(words))
    weight = {word: log(1 + len(sentences) / count) for word, count in frequency.items()}
    return [_score(words, weight) for words in found]


def _score(words: list[str], weight: dict[str, float]) -> float:
    bonus = _SUBJECT_BONUS if words and words[0] in weight else 1.0
    # Sorted, since the order of a set, and so the rounding of the sum, changes from run to run.
    return bonus * sum(weight[word] for word in sorted(weight.keys() & set(words)))
