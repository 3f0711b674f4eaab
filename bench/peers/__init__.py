"""The same expressions on other engines: `make bench-peers`.

The rule of the comparison: each operation is a task of its own, computed by one of three worker
processes on this machine, and its result is an operand of the next. Whoever can do that in
several ways is taken by the best of them. Parsing is done for the others, before the clock starts;
our master parses while it runs.
"""
