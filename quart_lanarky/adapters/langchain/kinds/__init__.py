"""The kinds of chains: one record per kind, and a registry that finds the record of a chain."""
