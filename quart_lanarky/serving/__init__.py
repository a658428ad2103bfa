"""`serve`: Hypercorn that drains, supervises its workers, and is tuned for streams."""
