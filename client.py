#!/usr/bin/env python3
"""The client: `python client.py submit "1+(2*3)/4-5"` prints -2.5. `python client.py -h`."""

import os
import signal

INTERRUPTED = 130  # 128 + SIGINT, as shells report it

if __name__ == "__main__":
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:  # what follows takes a moment, and has nothing to tell whoever wants no more of it
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from engine.client.cli import main

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
