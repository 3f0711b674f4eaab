"""The route table: every path that the master serves, on one page.

The private paths are for workers. With a private port they are on that port alone.
"""

from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application

from engine.master import handlers, metrics, openapi, pages
from engine.master.assembly import Master
from engine.server import server
from engine.web import application

PUBLIC: list[Any] = [
    (r"/submit", handlers.SubmitHandler),
    (r"/job/([^/]+)", handlers.JobHandler),
    (r"/job/([^/]+)/operations", handlers.OperationsHandler),
    (r"/job/([^/]+)/why", handlers.WhyHandler),
    (r"/jobs", handlers.JobsHandler),
    (r"/events", handlers.EventsHandler),
    (r"/workers", handlers.WorkersHandler),
    (r"/metrics", metrics.MetricsHandler),
    (r"/openapi.json", openapi.OpenApiHandler, {"document": openapi.encoded()}),
    (r"/livez", handlers.LivezHandler),
    (r"/readyz", handlers.ReadyzHandler),
]
DASHBOARD: list[Any] = [
    (r"/", pages.IndexHandler),
    (r"/dashboard/([^/]+)", pages.FileHandler),
]
PRIVATE: list[Any] = [
    (r"/worker", handlers.AnnounceHandler),
    (r"/worker/([^/]+)", handlers.LeaveHandler),
]

IDLE_CONNECTION_S = 15.0  # Tornado's own default is an hour: slow clients would pile up


def public_app(master: Master) -> Application:
    """Return what clients see; workers too, unless they have a port of their own."""
    private = [] if master.settings.private_port is not None else PRIVATE
    files = {"files": pages.read_files(pages.FOLDER)}
    dashboard = [(path, handler, files) for path, handler in DASHBOARD]
    return application(PUBLIC + dashboard + private, {"master": master})


def private_app(master: Master) -> Application:
    """Return what workers see on the private port."""
    return application(PRIVATE, {"master": master})


def serve(app: Application, max_body_bytes: int, max_connections: int) -> HTTPServer:
    """Return a server for `app`."""
    return server(
        app,
        max_body_bytes=max_body_bytes,
        max_connections=max_connections,
        idle_s=IDLE_CONNECTION_S,
    )
