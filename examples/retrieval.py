"""Search over a folder of Markdown files, without a network or an embedding model."""

import re
from pathlib import Path
from typing import Self

import bm25s  # type: ignore[import-untyped]
import numpy as np
from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import PrivateAttr

from examples.words import content_words

LIBRARY = Path(__file__).parent / "library"

_HEADING = re.compile(r"^#{1,6} +(?P<title>.+)\n", re.MULTILINE)


class MarkdownRetriever(BaseRetriever):
    """Finds the sections of Markdown files that share the rarest words with a query (BM25)."""

    sections: list[Document]
    """What is searched, one document for each section."""
    k: int = 3
    """The largest number of documents to return."""

    _index: bm25s.BM25 = PrivateAttr()

    @classmethod
    def from_folder(cls, path: Path | str = LIBRARY, k: int = 3) -> Self:
        """Read the Markdown files of a folder and index their sections."""
        files = sorted(Path(path).glob("*.md"))
        sections = [section for file in files for section in _sections(file)]
        if not sections:
            raise ValueError(f"there is nothing to search: no Markdown section in {path}")
        return cls(sections=sections, k=k)

    def model_post_init(self, context: object, /) -> None:
        """Build the index once; a query then only adds up stored numbers."""
        super().model_post_init(context)
        self._index = bm25s.BM25()
        corpus = [content_words(section.page_content) for section in self.sections]
        self._index.index(corpus, show_progress=False)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return self._search(query)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        # A search takes less time than handing it to another thread would.
        return self._search(query)

    def _search(self, query: str) -> list[Document]:
        """Return the best sections, each with its score; none that shares no word."""
        words = content_words(query)
        if not words:
            return []
        scores = self._index.get_scores(words)
        best = np.argsort(-scores, kind="stable")[: self.k]
        return [_scored(self.sections[i], float(scores[i])) for i in best if scores[i] > 0]


def _sections(file: Path) -> list[Document]:
    """Split a file at its headings; a heading with nothing below it is no section."""
    text = file.read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return [
        Document(
            page_content=text[heading.start() : end].strip(),
            metadata={"source": file.name, "title": heading["title"].strip()},
        )
        for heading, end in zip(headings, ends, strict=True)
        if text[heading.end() : end].strip()
    ]


def _scored(section: Document, score: float) -> Document:
    """Copy a section, so that no two answers share a metadata dictionary."""
    return Document(
        page_content=section.page_content, metadata={**section.metadata, "score": score}
    )
