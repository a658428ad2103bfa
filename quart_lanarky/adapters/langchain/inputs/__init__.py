"""Validate what a client sends, and convert it into the input of a chain."""
