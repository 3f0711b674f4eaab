"""The lock on a data directory: one process at a time writes a record.

The kernel drops the lock when its process ends, however it ends, so nothing stale has to be
recognised. What the file says is for people only.
"""

import errno
import fcntl
import os
import socket
from pathlib import Path

from engine.errors import StoreLocked


class DirectoryLock:
    """An exclusive lock in the form of a file that names its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise `StoreLocked` at once. An `OSError` is the disk's."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        except OSError as error:
            holder = os.pread(file, 1000, 0).decode(errors="replace").strip()
            os.close(file)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise StoreLocked(
                f"{self._path.parent} is in use by another master ({holder or 'unknown'}); stop"
                " that one, or give this one a data directory of its own"
            ) from None
        self._file = file

    def release(self) -> None:
        """Let go of the lock. The file stays: removing it would let two processes hold one each."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
