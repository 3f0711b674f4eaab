"""A Tornado server that reads a request and answers `{}`: the most that a master could serve."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # started by its path

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from engine.roof import bound, prefer_throughput, stop_signal


class EmptyHandler(RequestHandler):
    """`POST /submit` that does nothing."""

    def post(self) -> None:
        """Answer."""
        self.finish(b"{}")


async def run() -> int:
    """Serve until told to stop."""
    told_to_stop = stop_signal()
    app = Application([(r"/submit", EmptyHandler)], log_function=lambda _handler: None)
    sockets, port = bound("127.0.0.1", 0)
    HTTPServer(app).add_sockets(sockets)
    print(f"empty: listening on http://127.0.0.1:{port}", file=sys.stderr, flush=True)
    await told_to_stop.wait()
    return 0


if __name__ == "__main__":
    prefer_throughput()
    sys.exit(asyncio.run(run()))
