"""A worker as somebody else would write it who knows the first section of the contract alone.

Standard library only. It announces its name, once, before it listens; it has no path but
`/compute`, insists on its Content-Type, closes every connection, and says 500 to what it cannot
compute. With `--wrong` it divides as integers do.
"""

import argparse
import http.client
import json
import operator
from http.server import BaseHTTPRequestHandler, HTTPServer

COMPUTE = {
    "sum": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: a connection for each call."""

    def do_POST(self) -> None:
        """Compute."""
        if self.path != "/compute":
            return self.send_error(404)
        if self.headers["Content-Type"] != "application/json":
            return self.send_error(415)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            result = COMPUTE[asked["operation"]](asked["op1"], asked["op2"])
        except ArithmeticError:
            return self.send_error(500)
        body = json.dumps(asked | {"result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *_: object) -> None:
        """Be silent."""


def announce(master: str, name: str, host: str) -> None:
    """Tell the master the name, from the address that this worker will listen at."""
    connection = http.client.HTTPConnection(master, source_address=(host, 0))
    connection.request("POST", "/worker", json.dumps({"worker_name": name}))
    assert connection.getresponse().status == 200
    connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--master", required=True, metavar="HOST:PORT")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", default="plain")
    parser.add_argument("--wrong", action="store_true")
    arguments = parser.parse_args()
    if arguments.wrong:
        COMPUTE["div"] = operator.floordiv
    announce(arguments.master, arguments.name, arguments.host)
    HTTPServer((arguments.host, arguments.port), Handler).serve_forever()
