"""Opening the database file: new, known, newer than we are, read-only or damaged.

A damaged file is set aside under a name with the date and an empty one is begun: an engine that
starts and says so is worth more than one that does not. Nothing else is ever set aside.
"""

import logging
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from venom_engine.protocol.errors import StateUnusable
from venom_engine.store.sql import migrations, statements

APPLICATION_ID = 0x56454E4D  # "VENM"
#: Up to this size every page is looked at when the engine starts (some 100 ms); past it, only what is used.
CHECK_BYTES = 64 * 1024 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database, and what the operator must hear about it."""

    path: Path
    set_aside: Path | None


def open_database(path: Path) -> tuple[sqlite3.Connection, Opened]:
    """A connection for the writer, with the newest schema.

    Raises StateUnusable for a file of a newer version and for one that cannot be written.
    """
    _recognise(path)
    try:
        return _opened(path), Opened(path, None)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
            raise _unwritable(path, error) from error
        aside = set_aside(path)
        log.error(
            "The state file %s is damaged (%s). It was set aside as %s; starting empty.", path, error, aside
        )
        return _opened(path), Opened(path, aside)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with our settings: WAL, and a commit is on the disk (synchronous=FULL)."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=10, cached_statements=256
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA foreign_keys = ON")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def set_aside(path: Path) -> Path:
    """Move a damaged file, with its log files, out of the way. Nothing is deleted."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for again in range(1, 1000):
        if not aside.exists():
            break
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{again}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.replace(aside.with_name(aside.name + suffix))
    return aside


def _opened(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    try:
        _check(connection, path)
        _migrate(connection)
        for name in ("counts_alive_and_ended", "count_all", "newest", "control", "lanes_waiting"):
            connection.execute(statements()[name]).fetchall()  # what a start reads must be readable
        connection.execute("UPDATE control SET one = one")  # a file that cannot be written says so now
    except BaseException:
        connection.close()
        raise
    return connection


def _recognise(path: Path) -> None:
    """Refuse a file that is not ours to write, before anything is written. Damage is not judged here."""
    if not path.exists():
        return
    if not path.is_file():
        raise StateUnusable(
            f"{path} is not a file.",
            kept="It was not changed.",
            do="Move it away, or choose another --state-dir.",
        )
    looking = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        (version,) = looking.execute("PRAGMA user_version").fetchone()
        (owner,) = looking.execute("PRAGMA application_id").fetchone()
        (tables,) = looking.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        return
    finally:
        looking.close()
    if owner != APPLICATION_ID and (owner or version or tables):
        raise StateUnusable(
            f"{path} is a database of another program.",
            kept="It was not changed.",
            do="Choose another folder with --state-dir.",
        )
    if version > len(migrations()):
        raise StateUnusable(
            f"The state file {path} has schema {version}; this version of Venom knows {len(migrations())}.",
            kept="It was not changed.",
            do="Start the newer Venom that wrote it, or choose another folder with --state-dir.",
        )


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > CHECK_BYTES:
        return
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"integrity check: {found}")


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    scripts = migrations()
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};"
            f"PRAGMA application_id = {APPLICATION_ID};\nCOMMIT;"
        )


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such table" in str(error)


def _unwritable(path: Path, error: sqlite3.Error) -> StateUnusable:
    return StateUnusable(
        f"The state file {path} cannot be used: {error}.",
        kept="It was not changed.",
        do="Make file and folder writable and see that the disk has room, or choose another --state-dir.",
    )
