"""The tables of the record, and the way from each of their versions to the next.

A job is written once and its outcome once, each as a row of its own: a primary key is what keeps
an outcome from changing, and a long task is not copied when its job ends. `unfinished` is what a
start reads; the two partial indexes make a page of one status cost what it shows. What follows
from a row follows by triggers: so a new job or an outcome is one statement, which is a transaction
by itself, and a thread beside a busy event loop has to get hold of the interpreter only once.
"""

Migration = tuple[str, ...]

APPLICATION_ID = 0x6A6F6273  # "jobs": told apart from any other SQLite file

# Step n leads from version n to n + 1. A step that was released is never edited: add one.
MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE jobs (
            job_id INTEGER PRIMARY KEY,
            submitted_at REAL NOT NULL,
            task_bytes INTEGER NOT NULL,  -- told without reading the task, for retention
            task TEXT NOT NULL  -- the last: what is before it is read without it
        ) STRICT""",
        """CREATE TABLE outcomes (
            job_id INTEGER PRIMARY KEY REFERENCES jobs,
            finished_at REAL NOT NULL,
            answer TEXT,  -- as Python writes it: exact, and int and float stay apart
            error TEXT,
            detail TEXT
        ) STRICT""",
        "CREATE INDEX succeeded ON outcomes (job_id) WHERE error IS NULL",
        "CREATE INDEX failed ON outcomes (job_id) WHERE error IS NOT NULL",
        "CREATE INDEX ended ON outcomes (finished_at)",
        "CREATE TABLE unfinished (job_id INTEGER PRIMARY KEY REFERENCES jobs) STRICT",
        """CREATE TABLE idempotency_keys (
            key TEXT PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            job_id INTEGER NOT NULL REFERENCES jobs
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX key_of_job ON idempotency_keys (job_id)",
        # The last id ever given: jobs are forgotten, their numbers are not.
        "CREATE TABLE last_job (job_id INTEGER NOT NULL) STRICT",
        "INSERT INTO last_job VALUES (0)",
    ),
    (
        """CREATE TRIGGER job_added AFTER INSERT ON jobs BEGIN
            INSERT INTO unfinished VALUES (NEW.job_id);
            UPDATE last_job SET job_id = NEW.job_id;
        END""",
        """CREATE TRIGGER job_ended AFTER INSERT ON outcomes BEGIN
            DELETE FROM unfinished WHERE job_id = NEW.job_id;
        END""",
    ),
)
