-- The first shape. A released migration is never edited: the next change is the next file.

CREATE TABLE lane (
    lane   INTEGER PRIMARY KEY,
    queue  TEXT NOT NULL,
    skill  TEXT NOT NULL,
    needs  TEXT NOT NULL,             -- Requirements as JSON
    UNIQUE (queue, skill, needs)
) STRICT;

CREATE TABLE task (
    n            INTEGER PRIMARY KEY, -- order of submission
    id           TEXT    NOT NULL UNIQUE,
    lane         INTEGER NOT NULL REFERENCES lane,
    status       TEXT    NOT NULL,
    priority     INTEGER NOT NULL,
    content      TEXT    NOT NULL,
    method       TEXT    NOT NULL,
    parameters   TEXT    NOT NULL,    -- JSON
    max_retries  INTEGER,
    timeout      REAL,
    attempt      INTEGER NOT NULL,    -- the fencing token
    excused      INTEGER NOT NULL,
    node_id      TEXT,
    created_at   REAL    NOT NULL,
    started_at   REAL,
    finished_at  REAL,
    result       TEXT,                -- JSON
    error        TEXT
) STRICT;

-- What a claim looks at: its cost does not grow with what else is in the table.
CREATE INDEX task_waiting ON task (lane, priority DESC, n) WHERE status = 'PENDING';
-- What an operator asks for, and what a starting engine looks through.
CREATE INDEX task_unusual ON task (status, n) WHERE status IN ('PROCESSING', 'FAILED', 'ABORTED');

CREATE TABLE event (
    seq      INTEGER PRIMARY KEY,
    at       REAL NOT NULL,
    type     TEXT NOT NULL,
    task     INTEGER,                 -- task.n, for events of a task
    message  TEXT NOT NULL,
    data     TEXT NOT NULL            -- JSON
) STRICT;
CREATE INDEX event_of_task ON event (task, seq) WHERE task IS NOT NULL;

CREATE TABLE output (
    task     INTEGER NOT NULL,        -- task.n
    n        INTEGER NOT NULL,        -- counts within the task
    attempt  INTEGER NOT NULL,
    piece    INTEGER NOT NULL,        -- counts within the attempt, given by the node
    stream   TEXT    NOT NULL,
    at       REAL    NOT NULL,
    text     TEXT    NOT NULL,
    PRIMARY KEY (task, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE control (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    paused   INTEGER NOT NULL,
    stopped  INTEGER NOT NULL,
    by       TEXT,
    at       REAL
) STRICT;
INSERT INTO control VALUES (1, 0, 0, NULL, NULL);
