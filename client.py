#!/usr/bin/env python3
"""The client: `python client.py submit "1+(2*3)/4-5"` prints -2.5. `python client.py -h`."""

from engine.client.cli import main

if __name__ == "__main__":
    main()
