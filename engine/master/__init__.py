"""The master's HTTP side: routes, handlers, problems."""
