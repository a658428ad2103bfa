"""Examples that need no key and no network: a local model, a retriever and a calculator."""
