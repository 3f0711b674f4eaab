"""What the pages use of curl, for machines that have none: `curl -s [-X M] [-H H] [-d D] URL`."""

import argparse
import sys
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener


def main(arguments: list[str]) -> int:
    """Print what the server answers, whatever its status."""
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    parser.add_argument("-s", action="store_true", required=True)
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    parser.add_argument("url")
    asked = parser.parse_args(arguments)
    method = asked.method or ("GET" if asked.body is None else "POST")
    body = None if asked.body is None else asked.body.encode()
    request = Request(f"http://{asked.url}", body, method=method)  # always http
    for header in asked.headers:
        request.add_header(*header.split(": ", 1))
    try:
        with build_opener(ProxyHandler({})).open(request) as response:
            sys.stdout.buffer.write(response.read())
    except HTTPError as error:
        with error:
            sys.stdout.buffer.write(error.read())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
