"""The distributed task execution engine: floors of modules, described in docs/architecture.md."""
