"""Checks that a migration does not block commands and queries, by the locks, reads and rewrites in PostgreSQL."""

import re
from pathlib import Path

import psycopg

ONLINE = re.compile(
    r"drop index concurrently if exists (\w+);\s*create (unique )?index concurrently \1 on [^;]+;", re.IGNORECASE
)
COMMENT = re.compile(r"--[^\n]*")

FILES = """
select relname, pg_relation_filenode(oid) from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace"""
STOPS_WRITERS = """
select distinct c.relname from pg_locks l join pg_class c on c.oid = l.relation
where l.pid = pg_backend_pid() and l.granted
  and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"""
READ = "select relname, seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"


def faults(dsn: str, file: Path) -> list[str]:
    """Applies a migration and returns its faults. The tables need rows, or nothing is detected."""
    script = file.read_text()
    if "transactional: false" in script:
        with psycopg.connect(dsn, autocommit=True) as connection:
            statements = COMMENT.sub("", script).strip()
            if not ONLINE.fullmatch(statements):
                return ["outside of a transaction only an index may be made: drop … if exists, create … concurrently"]
            for statement in filter(str.strip, statements.split(";")):
                connection.execute(statement.encode())
        return []
    with psycopg.connect(dsn) as connection:
        before = dict(connection.execute(FILES).fetchall())
        connection.execute(script.encode())
        after = dict(connection.execute(FILES).fetchall())
        rows_read = dict(connection.execute(READ).fetchall())
        locked = [name for (name,) in connection.execute(STOPS_WRITERS).fetchall() if name in before]
    rewrites = [f"rewrites {name}" for name in locked if after.get(name, before[name]) != before[name]]
    return rewrites + [
        f"reads {rows_read[name]} rows of {name} while writes to it are blocked"
        for name in locked
        if rows_read.get(name)
    ]
