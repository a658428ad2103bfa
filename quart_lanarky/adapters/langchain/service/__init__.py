"""A chain behind a route: options, factories, plan, run, description."""
