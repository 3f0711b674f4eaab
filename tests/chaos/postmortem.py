"""Read the record of a master that is dead, without touching it.

A copy is read: opening the file itself would let SQLite bring the WAL in, which is the next
master's business, and what is to be tested.
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from engine.store.database import FILE
from engine.store.rows import text_to_number
from tests.chaos.ledger import Ledger, Row

EVERYTHING = """
SELECT jobs.job_id, task, outcomes.job_id IS NOT NULL, answer, error, unfinished.job_id IS NOT NULL
FROM jobs LEFT JOIN outcomes USING (job_id) LEFT JOIN unfinished USING (job_id)
"""


def examine(data: Path, ledger: Ledger) -> int:
    """Hold the record in `data` against a ledger; return how many jobs it has."""
    if not (data / FILE).exists():
        ledger.compare(())
        return 0
    with tempfile.TemporaryDirectory(prefix="post-mortem-") as folder:
        for name in (FILE, f"{FILE}-wal"):
            if (data / name).exists():
                shutil.copy(data / name, folder)
        with closing(sqlite3.connect(Path(folder) / FILE)) as record:
            return _examine(record, ledger)


def _examine(record: sqlite3.Connection, ledger: Ledger) -> int:
    (finding,) = record.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        ledger.fault("unsound", f"the file is damaged: {finding}")
        return 0
    if record.execute("PRAGMA user_version").fetchone() == (0,):
        ledger.compare(())  # killed in its first migration
        return 0
    rows = []
    for job_id, task, ended, answer, error, unfinished in record.execute(EVERYTHING):
        if ended == unfinished:
            ledger.fault("unsound", f"job {job_id}: ended is {ended}, unfinished {unfinished}")
        rows.append(Row(job_id, task, bool(ended), text_to_number(answer), error))
    (last,) = record.execute("SELECT job_id FROM last_job").fetchone()
    if last < max((row.job_id for row in rows), default=0):
        ledger.fault("disordered", f"the last number given is {last}, and there are higher ones")
    ledger.compare(rows)
    return len(rows)
