"""Where the keys of alice's mailboxes are, in each kind of attribute dictionary (RFC 4467 section 8)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from testing.oracle import mailbox_keys

if TYPE_CHECKING:
    from pathlib import Path

    from testing.instance import DovecotInstance

KEY = "imap-urlauth"
SQLITE = "/usr/lib/dovecot/modules/libdriver_sqlite.so"
SQLITE_TABLE = "CREATE TABLE attributes (username, box, name, value, PRIMARY KEY (username, box, name))"
SQLITE_MAP = """\
connect = BASE/sqlite/attributes
map {
  pattern = priv/$box/vendor/vendor.dovecot/$name
  table = attributes
  username_field = username
  value_field = value
  fields {
    box = $box
    name = $name
  }
}
"""


def nothing(dovecot: DovecotInstance) -> None:
    """There is nothing to make."""


def in_file(dovecot: DovecotInstance) -> list[bytes]:
    """``file:``, what stands behind a dict service, too."""
    return mailbox_keys(dovecot.home("alice"))


def in_files(dovecot: DovecotInstance) -> list[bytes]:
    """``fs:posix:``, with a file for each key."""
    return [bytes.fromhex(path.read_text()) for path in (dovecot.home("alice") / "attributes").rglob(KEY)]


def make_sqlite(dovecot: DovecotInstance) -> None:
    """Make ``dict.conf`` and an empty database, which the dict service's user may write."""
    (dovecot.folder / "dict.conf").write_text(SQLITE_MAP.replace("BASE", str(dovecot.inside)))
    database = _database(dovecot)
    database.parent.mkdir()
    database.parent.chmod(0o777)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(SQLITE_TABLE)
    database.chmod(0o666)


def in_sqlite(dovecot: DovecotInstance) -> list[bytes]:
    """``sqlite:``, as :func:`make_sqlite` has made it."""
    with closing(sqlite3.connect(_database(dovecot))) as connection:
        rows = connection.execute("SELECT value FROM attributes WHERE name = ?", (KEY,)).fetchall()
    return [bytes.fromhex(value) for (value,) in rows]


def _database(dovecot: DovecotInstance) -> Path:
    return dovecot.folder / "sqlite" / "attributes"
