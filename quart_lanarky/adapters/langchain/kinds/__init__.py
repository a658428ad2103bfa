"""The kinds of chains: where the answer is, what they take, what they return."""
