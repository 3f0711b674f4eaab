"""The client's side of the public API: a library, and the command line on top of it."""
