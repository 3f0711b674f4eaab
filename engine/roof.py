"""What a program of ours does when it starts and when it is told to stop.

`master.py` does all of it. `worker.py` leaves its open files and the interpreter as they are.
"""

import asyncio
import fcntl
import gc
import os
import resource
import signal
import socket
import sys

from tornado.netutil import bind_sockets

from engine.server import BACKLOG

EXIT_UNAVAILABLE = 69  # of sysexits.h


def refuse_optimized(program: str) -> None:
    """Leave if assertions are off: Tornado checks what it reads with them."""
    if sys.flags.optimize:
        print(
            f"{program}: python -O takes out checks that Tornado relies on; run it without -O",
            file=sys.stderr,
        )
        sys.exit(EXIT_UNAVAILABLE)


def bound(host: str, port: int) -> tuple[list[socket.socket], int]:
    """Return sockets that listen at `host` and the port that they have; 0 takes any free one.

    Raises `OSError` that says what to do.
    """
    try:
        sockets = bind_sockets(port, host, backlog=BACKLOG)
    except OSError as error:
        raise OSError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host"
        ) from None
    return sockets, sockets[0].getsockname()[1]


def open_files(wanted: int) -> int:
    """Raise the process's limit of open files to `wanted`, or as far as it goes; return it.

    To be called before there is a second thread. The kernel's table of open files gets as large as
    it will ever have to be: if it must grow while threads share it, whoever opens the file that
    does not fit is held for 10 to 30 ms, and that would be the loop.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    with open(os.devnull) as file:
        os.close(fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, most - 1))
    return max(soft, most)


def prefer_throughput() -> None:
    """Set the interpreter up for one busy event loop.

    What the start has made is there to stay, and is not looked at when reference cycles are looked
    for. There are next to none, so that is done more rarely than by Python's default, which took a
    tenth of all time: every 2,000 objects, and what was looked at once 5,000 times more rarely. A
    master does it when it is idle (`engine/collector.py`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 5_000, 10)


def stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM, SIGINT or SIGHUP sets; a second one ends the process.

    A terminal that is closed is no reason to drop what is in hand, so SIGHUP is one of them. To be
    called before anybody is told that the process is there: whoever knows may stop it.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under `nohup`
        signals.append(signal.SIGHUP)

    def stop() -> None:
        told.set()
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in signals:
        loop.add_signal_handler(number, stop)
    return told
