"""The record as one SQLite file: opened, examined, read, committed; where sqlite3's errors end.

Synchronous; it belongs to the thread that opens it, with its one connection: SQLite before 3.51.3
can corrupt a WAL that two of them checkpoint, so the file is also locked against any other.

A group of writes is one transaction and one sync. A failed sync is final: the kernel may have
dropped what it could not write, so the database is `broken` and promises nothing more.
"""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from engine.crashpoints import crash_point
from engine.errors import StoreDamaged, StoreError
from engine.job import Job, JobId
from engine.store.base import Counts, Page, Status
from engine.store.lock import DirectoryLock
from engine.store.rows import GET, IDS, LARGEST_ID, PAGE, THESE, UNFINISHED, size_of, to_job
from engine.store.schema import APPLICATION_ID, MIGRATIONS, Migration
from engine.store.transaction import Add, Finish, Prune, Transaction, Value, Write, Written

log = logging.getLogger(__name__)

FILE = "jobs.sqlite3"
LOCK = "jobs.lock"
CHECKED_BYTES = 512 * 1024 * 1024  # quick_check reads it in 0.3 s, or in 2 s from a slow disk
CACHE_KIB = 16 * 1024  # holds a group of large tasks, so that it reaches the WAL only at its commit
OPEN_JOBS = 10_000  # as many as are kept in mind, in a megabyte
TRIED_BYTES = 16 * 1024  # some pages: what one job and its outcome may need
WAL_BYTES = 64 * 1024 * 1024  # what the WAL is cut to after an exceptionally large group


class Database:
    """The record in a directory. Every method but `close` raises `StoreError` when it cannot."""

    def __init__(self, directory: Path, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
        self.counts = Counts()
        self.broken = False
        self.trouble: str | None = None  # why nothing could be written the last time
        self._directory = directory
        self._path = directory / FILE
        self._migrations = migrations
        self._lock = DirectoryLock(directory / LOCK)
        self._connection: sqlite3.Connection | None = None
        self._opened: list[tuple[int, int]] = []  # which files: what has their names may change
        self._is_moved = False
        self._last = 0  # the last id given
        self._open_jobs: set[int] = set()  # some of the unfinished: no statement asks for them

    @property
    def next_id(self) -> JobId:
        """The id of the next new job."""
        return JobId(self._last + 1)

    # Opening and closing

    def open(self) -> None:
        """Lock, examine and migrate. Raises `StoreLocked`, `StoreDamaged` or `StoreError`."""
        try:
            _make(self._directory)
            self._lock.acquire()
            crash_point("recovery.locked")
            self._examine()
            crash_point("recovery.examined")
            with self._errors("opened"):
                self._connection = self._connect()
                self._migrate()
                crash_point("recovery.migrated")
                self._count()
                self._opened = self._files()
                crash_point("recovery.opened")
        except OSError as error:
            raise StoreError(
                f"the data directory {self._directory} cannot be used: {error.strerror}; let the"
                " master's user write there, or set another one (`--data`)"
            ) from error

    def close(self) -> None:
        """Bring the WAL into the file and release the lock."""
        if self._connection is not None:
            crash_point("close.before_checkpoint")
            try:
                if not self.broken:
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:  # what was committed is in the WAL; a start reads it
                log.warning("the WAL of %s could not be brought in: %s", self._path, error)
            crash_point("close.after_checkpoint")
            self._connection.close()
            self._connection = None
        self._lock.release()
        crash_point("close.unlocked")

    def _examine(self) -> None:
        """Refuse a file that is not ours or not sound, with a connection that changes nothing."""
        if not self._path.exists() or self._path.stat().st_size == 0:
            return
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        with self._errors("read"), closing(sqlite3.connect(uri, uri=True)) as connection:
            version = _pragma(connection, "user_version")
            if version > len(self._migrations):
                raise StoreError(
                    f"{self._path} was written by a newer version (its schema is {version}, this"
                    f" one knows {len(self._migrations)}); start that version, or set another"
                    " data directory (`--data`)"
                )
            (things,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            not_begun = (
                version == 0 and things == 0
            )  # as a master killed at its first start left it
            if _pragma(connection, "application_id") != APPLICATION_ID and not not_begun:
                raise StoreError(
                    f"{self._path} is a database of something else; move it away, or set another"
                    " data directory (`--data`)"
                )
            if self._path.stat().st_size > CHECKED_BYTES:
                log.warning("%s is too large to be examined at every start", self._path)
                return
            (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if finding != "ok":
                raise self._damaged(finding.splitlines()[-1])

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, timeout=0, cached_statements=256
        )
        # Nobody else gets in, not even to look: a shell that leaves checkpoints the WAL.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            connection.close()
            raise StoreError(f"{self._directory} is on a file system without WAL; use a local disk")
        connection.execute("PRAGMA synchronous = FULL")  # a commit is synced before it returns
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def _migrate(self) -> None:
        connection = self._open_connection()
        for version in range(_pragma(connection, "user_version"), len(self._migrations)):
            connection.execute("BEGIN IMMEDIATE")
            for statement in self._migrations[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            crash_point("recovery.half_migrated")
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")

    def _files(self) -> list[tuple[int, int]]:
        """Return which files have the names of the database and its WAL. Raises `OSError`."""
        found = (os.stat(path) for path in (self._path, f"{self._path}-wal"))
        return [(file.st_dev, file.st_ino) for file in found]

    def _count(self) -> None:
        last, *counts = (
            self._open_connection()
            .execute(
                "SELECT (SELECT job_id FROM last_job), (SELECT count(*) FROM unfinished),"
                " (SELECT count(*) FROM outcomes INDEXED BY succeeded WHERE error IS NULL),"
                " (SELECT count(*) FROM outcomes INDEXED BY failed WHERE error IS NOT NULL)"
            )
            .fetchone()
        )
        if last is None:
            raise self._damaged("the number of its last job is missing")
        self._last = last
        self.counts = Counts(*counts)

    # Reading

    def get(self, job_id: JobId) -> Job | None:
        """Return a job, or `None`."""
        if not 0 < job_id <= LARGEST_ID:
            return None
        with self._errors("read"):
            row = self._open_connection().execute(GET, (job_id,)).fetchone()
            return None if row is None else to_job(row)

    def page(self, limit: int, before: JobId | None, status: Status | None, max_bytes: int) -> Page:
        """Return up to `limit` jobs, newest first, read up to a size."""
        end = LARGEST_ID if before is None else max(0, min(before, LARGEST_ID))
        with self._errors("read"):
            jobs, is_whole = self._some(PAGE[status], (end, limit), max_bytes)
            if is_whole:
                return Page(jobs)
            values = (jobs[-1].job_id, limit - len(jobs))
            ids = self._open_connection().execute(IDS[status], values).fetchall()
        return Page(jobs, tuple(JobId(job_id) for (job_id,) in ids))

    def rest(self, ids: Sequence[JobId], max_bytes: int) -> Page:
        """Return jobs in the order of their ids, read up to a size."""
        with self._errors("read"):
            jobs, is_whole = self._some(THESE, (json.dumps(ids),), max_bytes)
        return Page(jobs, () if is_whole else tuple(ids[ids.index(jobs[-1].job_id) + 1 :]))

    def _some(
        self, statement: str, values: Sequence[Value], max_bytes: int
    ) -> tuple[list[Job], bool]:
        """Return the jobs that a statement finds, up to a size, and whether that is all of them."""
        jobs: list[Job] = []
        size = 0
        with closing(self._open_connection().execute(statement, values)) as cursor:
            for row in cursor:
                job = to_job(row)
                size += size_of(job.task)
                if jobs and size > max_bytes:
                    return jobs, False
                jobs.append(job)
        return jobs, True

    def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return unfinished jobs, oldest first, up to a number and a size."""
        found: list[Job] = []
        size = 0
        with self._errors("read"):
            cursor = self._open_connection().execute(UNFINISHED, (min(after, LARGEST_ID), limit))
            with closing(cursor):
                for job_id, task, submitted_at in cursor:
                    size += len(task.encode())
                    if found and size > max_bytes:
                        break
                    found.append(Job(JobId(job_id), task, submitted_at))
        return found

    # Writing

    def write(self, group: Sequence[Write]) -> list[Written]:
        """Carry out a group of writes in one transaction; return what each one comes to.

        Jobs are added first, then finished, then forgotten; within each kind in their order.
        When this raises, nothing of the group has happened.
        """
        connection = self._open_connection()
        transaction = Transaction(connection, self._last, self.counts, self._open_jobs)
        prunes = [write for write in group if isinstance(write, Prune)]
        try:
            self._refuse_if_moved()
            with self._errors("written"):
                added = transaction.add([write for write in group if isinstance(write, Add)])
                ended = transaction.finish([write for write in group if isinstance(write, Finish)])
                forgotten = self._carry_out(connection, transaction, prunes)
        except StoreError as error:
            self._roll_back(connection)
            self._tell_trouble(str(error))
            raise
        except BaseException:
            self._roll_back(connection)
            raise
        self._tell_trouble(None)
        self._last, self.counts = transaction.last, transaction.counts
        self._remember(transaction)
        results: dict[type[Write], Iterator[Written]] = {
            Add: iter(added),
            Finish: iter(ended),
            Prune: iter(forgotten),
        }
        return [next(results[type(write)]) for write in group]

    def look(self) -> None:
        """See whether the files are in their places and, after trouble, whether there is room.

        Raises `StoreError` if not.
        """
        try:
            self._is_moved = self._files() != self._opened
        except OSError:
            self._is_moved = True
        if self._is_moved or self.trouble is not None:
            self._try_to_write()

    def _try_to_write(self) -> None:
        """Write as much as a small job needs, and take it back, in one transaction."""
        connection = self._open_connection()
        try:
            self._refuse_if_moved()
            with self._errors("written"):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("CREATE TABLE room (bytes BLOB)")
                connection.execute("INSERT INTO room VALUES (zeroblob(?))", (TRIED_BYTES,))
                connection.execute("DROP TABLE room")
                self._commit(connection, "COMMIT")
        except StoreError as error:
            self._roll_back(connection)
            self._tell_trouble(str(error))
            raise
        self._tell_trouble(None)

    def _refuse_if_moved(self) -> None:
        if self._is_moved:
            raise StoreError(
                f"{self._path} or its WAL was moved, deleted or replaced while the master has it"
                " open; put it back, or, while the master lives, copy both from"
                f" /proc/{os.getpid()}/fd"
            )

    def _carry_out(
        self, connection: sqlite3.Connection, transaction: Transaction, prunes: list[Prune]
    ) -> list[int]:
        statements, forgotten = transaction.statements, []
        if len(statements) == 1 and not prunes:
            crash_point("write.before_commit")
            self._commit(connection, *statements[0])  # which SQLite makes a transaction by itself
        elif statements or prunes:
            connection.execute("BEGIN IMMEDIATE")
            crash_point("write.begun")
            for statement in statements:
                connection.execute(*statement)
                crash_point("write.half_written")
            forgotten = [transaction.prune(prune) for prune in prunes]
            crash_point("write.before_commit")
            self._commit(connection, "COMMIT")
        crash_point("write.committed")
        return forgotten

    def _commit(
        self, connection: sqlite3.Connection, statement: str, values: Sequence[Value] = ()
    ) -> None:
        """Execute what commits and syncs: what is written is durable when this returns."""
        try:
            connection.execute(statement, values)
        except sqlite3.Error as error:
            # A full disk took nothing. Anything else may be a failed sync: what the kernel kept
            # of it is unknown, and a second sync that succeeds would prove nothing.
            self.broken = self.broken or _primary_code(error) != sqlite3.SQLITE_FULL
            raise

    def _remember(self, transaction: Transaction) -> None:
        """Know by heart which jobs are open, as far as they were added lately."""
        self._open_jobs.update(transaction.added)
        self._open_jobs.difference_update(transaction.ended)
        while len(self._open_jobs) > OPEN_JOBS:
            self._open_jobs.pop()

    def _tell_trouble(self, trouble: str | None) -> None:
        """Log why nothing can be written, when that begins or becomes another, and when it ends."""
        if trouble is not None and trouble != self.trouble:
            log.error("nothing can be recorded: %s", trouble)
        elif trouble is None and self.trouble is not None:
            log.warning("what comes is recorded again")
        self.trouble = trouble

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        if not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("%s: a transaction can be neither committed nor undone", self._path)
            self.broken = True

    # Errors

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("the record is not open; start the master again")
        if self.broken:
            raise StoreError(f"{self._path} failed before; look at its disk and start again")
        return self._connection

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Translate sqlite3's errors: `what` completes "cannot be ..."."""
        try:
            yield
        except sqlite3.Error as error:
            code = _primary_code(error)
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                self.broken = True
                raise self._damaged(str(error)) from error
            if code == sqlite3.SQLITE_BUSY:
                raise StoreError(
                    f"{self._path} is open in another program; close that, then start again"
                ) from error
            if code == sqlite3.SQLITE_FULL:
                raise StoreError(
                    f"the disk of {self._directory} is full; make room there and try again"
                ) from error
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise StoreError(
                f"{self._path} cannot be {what}: {error} ({name}); look at its disk and at the"
                " rights on the files in it"
            ) from error

    def _damaged(self, finding: str) -> StoreDamaged:
        return StoreDamaged(
            f"{self._path} is damaged: {finding}; nothing was changed. Keep a copy, then restore a"
            f" backup or rescue what is left with `sqlite3 {FILE} .recover`"
        )


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _primary_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)  # errors of the module itself have none
    return None if code is None else code & 0xFF


def _make(directory: Path) -> None:
    """Make a directory and sync its name: what is promised in it must outlive a power cut."""
    if directory.is_dir():
        return
    directory.mkdir(parents=True)
    parent = os.open(directory.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
