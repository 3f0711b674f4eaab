"""What every test may use."""

import asyncio
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from tornado.ioloop import IOLoop

settings.register_profile("ours", deadline=None)  # a time limit would make tests depend on load
settings.load_profile("ours")

# A job in the background of a shell begins with Ctrl-C ignored, and all that it starts inherit
# that. Our programs are to be seen ending by it, wherever the tests run.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """Give a test an event loop of its own, in place of the plugin's, whose form is deprecated."""
    loop = IOLoop(make_current=False)
    asyncio.set_event_loop(loop.asyncio_loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close(all_fds=True)
