"""Measurements of the whole, over real sockets: `make bench` and `make bench-peers`."""
