"""The distributed task execution engine: floors of modules, described in docs/architecture.md."""

__version__ = "1.0.0"
