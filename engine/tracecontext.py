"""The `traceparent` of W3C Trace Context: read, and passed on as it came. Pure.

The engine makes no spans of its own: it hands the caller's context on, so that whatever workers
record belongs to the caller's trace. What is malformed is ignored, as the standard asks.
"""

import re

_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_parent_of(header: str | None) -> str | None:
    """Return a `traceparent` that is well formed, `None` for anything else."""
    text = (header or "").strip()
    return text if _FORM.fullmatch(text) else None
