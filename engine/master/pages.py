"""The dashboard's files, as they are served: read once, at the start, and never again.

So no path of a request ever touches the disk. What a page may do is said here as well: load and
call this master, and nothing else; no other site may frame it.
"""

import hashlib
import re
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from tornado.httputil import HTTPServerRequest

from engine.master.assembly import Master
from engine.master.handlers import BaseHandler
from engine.web import RequestRefused, quoted

FOLDER = Path(__file__).parent / "dashboard"
INDEX = "index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


class File(NamedTuple):
    """A file, ready to be sent."""

    body: bytes
    content_type: str
    etag: str


Files = dict[str, File]


def read_files(folder: Path) -> Files:
    """Return the files of a folder that a browser has a use for, by their names."""
    return {
        path.name: _file(path.read_bytes(), TYPES[path.suffix])
        for path in sorted(folder.glob("*"))
        if path.suffix in TYPES
    }


def _file(body: bytes, content_type: str) -> File:
    return File(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _knows(if_none_match: str, etag: str) -> bool:
    """Return whether a browser has the file already: it names what it has, or a star for any."""
    return if_none_match == "*" or etag in re.findall(r'"[^"]*"', if_none_match)


class FileHandler(BaseHandler):
    """`/dashboard/{name}`."""

    def __init__(self, request: HTTPServerRequest, master: Master, files: Files) -> None:
        super().__init__(request, master)
        self.files = files

    def get(self, name: str) -> None:
        """Send a file, or say that the browser has it already."""
        file = self.files.get(name)
        if file is None:
            raise RequestRefused(
                HTTPStatus.NOT_FOUND, "not_found", f"nothing is at {quoted(self.request.path)}"
            )
        self.headers["Content-Type"] = file.content_type
        self.headers["Content-Security-Policy"] = POLICY
        self.headers["Cache-Control"] = "no-cache"
        self.headers["Etag"] = file.etag
        if _knows(self.request.headers.get("If-None-Match", ""), file.etag):
            del self.headers["Content-Type"]
            self.status = HTTPStatus.NOT_MODIFIED
            self.finish()
        else:
            self.finish(file.body)

    head = get


class IndexHandler(FileHandler):
    """`/`: the dashboard. The only path that a link on another site may lead to."""

    def prepare(self) -> None:
        """Let a browser come here from anywhere, as long as it shows the page to a person."""
        if self.request.headers.get("Sec-Fetch-Mode") != "navigate":
            super().prepare()

    def get(self) -> None:  # type: ignore[override]  # this path has one file
        """Send the page."""
        super().get(INDEX)

    head = get  # type: ignore[assignment]
