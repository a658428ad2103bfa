"""One folder for each LLM framework; the core imports none of them."""
