"""While one client waits for an engine, the others of its process go on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.message.request import Request
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.store.engine.engine_start import prepare_engine
from dovecot_urlauth.store.fallback import open_store
from tests.store.user import KEY, make_maildir, user, write_key
from tests.store.waiting import whole

if TYPE_CHECKING:
    from pathlib import Path

    from dovecot_urlauth.store.store import Store

SLOW = 0.4
"""Seconds that each answer of this engine takes."""
ENGINE = """#!{python} -IS
import os, time
os.write(1, b"* PREAUTH Hello\\r\\n")
for line in iter(lambda: os.read(0, 8192), b""):
    time.sleep({seconds})
    tag, command, name = line.split()[:3]
    if command == b"GETMETADATA":
        os.write(1, b"* METADATA " + name + b" (/x \\"" + b"ab" * 64 + b"\\")\\r\\n")
    if command == b"URLFETCH":
        os.write(1, b"* URLFETCH " + name[2:-1] + b" (BODY {{4}}\\r\\nslow)\\r\\n")
    os.write(1, tag + b" OK Done.\\r\\n")
"""
WHOLE = Request(section=b"")


async def read(store: Store, mailbox: bytes) -> tuple[bytes | None, bytes]:
    opened = await store.open(mailbox, 0)
    try:
        return await opened.key(), await whole(await opened.fetch(1, WHOLE))
    finally:
        opened.close()


def test_a_slow_engine_is_waited_for_by_its_client_alone(tmp_path: Path) -> None:
    make_maildir(tmp_path / "Maildir", {1: b"quick\r\n"})
    make_maildir(tmp_path / "Maildir" / ".Odd", {1: b"odd"})
    (tmp_path / "Maildir" / ".Odd" / "dovecot.index.log").unlink()
    write_key(tmp_path)
    program = tmp_path / "imap"
    program.write_text(ENGINE.format(python=sys.executable, seconds=SLOW))
    program.chmod(0o755)
    loop = Loop()
    engine = prepare_engine(Settings({}), os.fsencode(tmp_path), None)
    shared = open_store(user(tmp_path), DOVECOT_2_3_19, "auto", engine, loop, lambda text: None)
    waits: list[float] = []

    async def neighbour() -> None:
        store = shared.share()
        while True:
            began = loop.now()
            assert await read(store, b"INBOX") == (KEY, b"quick\r\n")
            waits.append(loop.now() - began)
            await loop.sleep(0.005)

    async def client() -> None:
        store = shared.share()
        beside = loop.spawn(neighbour(), "neighbour")
        began = loop.now()
        assert await read(store, b"Odd") == (b"\xab" * 64, b"slow")
        assert loop.now() - began >= 2 * SLOW
        assert not beside.ended
        store.close()

    loop.run(client())
    shared.close()
    assert len(waits) > 20
    assert max(waits) < SLOW / 4
