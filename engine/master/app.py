"""The route table: every path that the master serves, on one page.

The private paths are for workers. With a private port they are on that port alone.
"""

from engine.master import handlers, metrics, openapi, pages
from engine.master.assembly import Master
from engine.server import Server
from engine.site import Route, Site
from engine.web import site

PUBLIC = [
    Route(r"/submit", handlers.SubmitHandler),
    Route(r"/job/([^/]+)", handlers.JobHandler),
    Route(r"/job/([^/]+)/operations", handlers.OperationsHandler),
    Route(r"/job/([^/]+)/why", handlers.WhyHandler),
    Route(r"/jobs", handlers.JobsHandler),
    Route(r"/events", handlers.EventsHandler),
    Route(r"/workers", handlers.WorkersHandler),
    Route(r"/metrics", metrics.MetricsHandler),
    Route(r"/openapi.json", openapi.OpenApiHandler, {"document": openapi.encoded()}),
    Route(r"/livez", handlers.LivezHandler),
    Route(r"/readyz", handlers.ReadyzHandler),
]
DASHBOARD = [
    Route(r"/", pages.IndexHandler),
    Route(r"/dashboard/([^/]+)", pages.FileHandler),
]
PRIVATE = [
    Route(r"/worker", handlers.AnnounceHandler),
    Route(r"/worker/([^/]+)", handlers.LeaveHandler),
]

IDLE_CONNECTION_S = 15.0  # slow clients would pile up


def public_site(master: Master) -> Site:
    """Return what clients see; workers too, unless they have a port of their own."""
    private = [] if master.settings.private_port is not None else PRIVATE
    files = {"files": pages.read_files(pages.FOLDER)}
    dashboard = [route._replace(given=files) for route in DASHBOARD]
    return site(PUBLIC + dashboard + private, {"master": master})


def private_site(master: Master) -> Site:
    """Return what workers see on the private port."""
    return site(PRIVATE, {"master": master})


def serve(served: Site, max_body_bytes: int, max_connections: int) -> Server:
    """Return a server for a site."""
    return Server(
        served.serve,
        max_body_bytes=max_body_bytes,
        max_connections=max_connections,
        idle_s=IDLE_CONNECTION_S,
    )
