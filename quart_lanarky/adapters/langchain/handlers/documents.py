"""The handler of source documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from langchain_core.documents import Document

from .... import events
from ....events import SOURCE_DOCUMENTS, SourceDocumentsData
from ....protocols.native.encode import Mode
from ....runs.stream import EventSink
from .base import ChainHandler
from .extraction import distinct, documents_in, to_source_document

__all__ = ["SourceDocumentHandler"]


class SourceDocumentHandler(ChainHandler):
    """Sends the source documents that the whole chain returns, or else those that it retrieved."""

    events: ClassVar[Mapping[str, Any]] = {SOURCE_DOCUMENTS: SourceDocumentsData}

    def __init__(
        self,
        stream: EventSink | None = None,
        *,
        mode: Mode = "json",
        only_returned: bool = False,
    ) -> None:
        super().__init__(stream, mode=mode)
        self._only_returned = only_returned
        self._retrieving: set[UUID] = set()
        self._retrieved: list[Document] | None = None

    @property
    def ignore_retriever(self) -> bool:
        """Tell LangChain whether to leave out the callbacks of retrievers."""
        return self._only_returned or self.spec.returns_documents

    async def on_retriever_start(
        self,
        serialized: Any,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Note the run, unless it is part of another retriever's."""
        if parent_run_id not in self._retrieving:
            self._retrieving.add(run_id)

    async def on_retriever_end(
        self, documents: Sequence[Document], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Keep the documents, in their order."""
        if run_id in self._retrieving:
            self._retrieving.discard(run_id)
            self._retrieved = [*(self._retrieved or []), *documents]

    async def _handle_output(self, output: Any) -> None:
        """Send the documents; an empty list is sent as well."""
        returned = documents_in(output)
        retrieved, self._retrieved = self._retrieved, None
        documents = returned if returned is not None or self.ignore_retriever else retrieved
        if documents is not None:
            payload = [to_source_document(document) for document in distinct(documents)]
            await self.sink.send(events.source_documents(payload))
