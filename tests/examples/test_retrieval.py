"""The retriever: it finds the right section, ranks by score and may find nothing."""

from pathlib import Path

import pytest

from examples.retrieval import LIBRARY, MarkdownRetriever
from examples.words import content_words


@pytest.fixture(scope="module")
def retriever() -> MarkdownRetriever:
    """Index the library of the examples once."""
    return MarkdownRetriever.from_folder()


@pytest.mark.parametrize(
    ("question", "source", "title"),
    [
        ("What is a context window?", "tokens.md", "Context window"),
        ("Why does nginx hold back my events?", "server-sent-events.md", "Proxies and buffering"),
        ("How does BM25 rank documents?", "retrieval.md", "Keyword search with BM25"),
        ("Which port does Hypercorn listen on?", "quart-and-hypercorn.md", "What Hypercorn is"),
        ("How does a WebSocket connection start?", "websockets.md", "The handshake"),
        ("Should a queue be bounded?", "back-pressure.md", "Bounded queues"),
        ("How does ReAct work?", "agents.md", "ReAct"),
        ("What is a callback handler?", "langchain.md", "Callbacks"),
    ],
)
def test_finds_the_right_section(
    retriever: MarkdownRetriever, question: str, source: str, title: str
) -> None:
    """The best document of a question is the section that answers it."""
    best = retriever.invoke(question)[0]
    assert (best.metadata["source"], best.metadata["title"]) == (source, title)
    assert title in best.page_content


def test_documents_are_ranked_by_score(retriever: MarkdownRetriever) -> None:
    """At most k documents come back, the best one first, each with a positive score."""
    scores = [d.metadata["score"] for d in retriever.invoke("stream of a language model")]
    assert len(scores) == retriever.k
    assert scores == sorted(scores, reverse=True)
    assert all(isinstance(score, float) and score > 0 for score in scores)


@pytest.mark.parametrize("question", ["florble wug zzyzx", "", "?!", "what is the"])
def test_an_unrelated_question_finds_nothing(retriever: MarkdownRetriever, question: str) -> None:
    """A question that shares no content word with any section finds nothing."""
    assert retriever.invoke(question) == []


@pytest.mark.asyncio
async def test_async_search_gives_the_same(retriever: MarkdownRetriever) -> None:
    """The asynchronous search is the same search."""
    question = "What is back-pressure?"
    assert await retriever.ainvoke(question) == retriever.invoke(question)


def test_answers_share_no_state(retriever: MarkdownRetriever) -> None:
    """Changing a found document changes neither the index nor a later answer."""
    first = retriever.invoke("What is a token?")
    first[0].metadata["title"] = "changed"
    assert retriever.invoke("What is a token?")[0].metadata["title"] == "What a token is"


def test_another_folder_can_be_searched(tmp_path: Path) -> None:
    """Any folder of Markdown files will do; a heading without text is not a section."""
    (tmp_path / "pets.md").write_text("# Pets\n\n## Cats\n\nCats purr.\n\n## Dogs\nDogs bark.\n")
    (tmp_path / "notes.txt").write_text("# Not Markdown\n\nCats again.\n")
    pets = MarkdownRetriever.from_folder(tmp_path, k=1)
    assert [section.metadata["title"] for section in pets.sections] == ["Cats", "Dogs"]
    assert [d.metadata["title"] for d in pets.invoke("Does a cat purr or a dog bark?")] == ["Cats"]


def test_an_empty_folder_finds_nothing(tmp_path: Path) -> None:
    """A folder with nothing to search is a mistake that shows at the start."""
    with pytest.raises(ValueError, match="no Markdown section"):
        MarkdownRetriever.from_folder(tmp_path)


def test_library_files_have_short_sections() -> None:
    """The corpus stays small enough to read, and every file has several sections."""
    for file in LIBRARY.glob("*.md"):
        text = file.read_text(encoding="utf-8")
        assert len(text.split()) in range(150, 401), file.name
        assert len(text.split("\n## ")[1:]) in range(3, 9), file.name


def test_words_match_across_spellings() -> None:
    """Compounds and endings do not keep a question from its answer."""
    assert set(content_words("backpressure")) <= set(content_words("back-pressure"))
    assert set(content_words("back pressure")) <= set(content_words("Back-Pressure"))
    assert content_words("streams streaming streamed") == ["stream"] * 3
    assert content_words("messages") == content_words("message")
