"""LangChain: from a chain to a run whose handlers fill an event stream."""
