"""The callback handlers: from LangChain's callbacks to events."""
