"""Quart in front of runs: routes, guards, responses and WebSocket sessions."""
