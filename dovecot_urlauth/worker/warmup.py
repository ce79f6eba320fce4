"""A request gone through on nothing, before a client comes.

The first writes to memory that parent and child share until then cost the kernel a copy of each page, and the
interpreter's caches fill with the first run; so much the first client then need not wait for.  The settings are
made up, and the maildir cannot exist: nothing of a user's is touched.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.account import resolve_account
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.message.fetch import Request, fetch
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.service.log import Log, LogPipe
from dovecot_urlauth.store.fallback import NATIVE, open_store
from dovecot_urlauth.wire.authmaster import AuthMaster
from dovecot_urlauth.wire.control import VERSION, Access, ControlOrder, ControlServer, access_line
from dovecot_urlauth.wire.fetch import CommandReader
from dovecot_urlauth.worker.target import OpenedTarget
from dovecot_urlauth.worker.urlfetch import UrlFetcher
from dovecot_urlauth.worker.userdb import Userdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.wire.fetch import UrlCommand
    from dovecot_urlauth.worker.target import WorkerConfig

NOWHERE = "/dev/null/nowhere"
"""Below no directory."""
HOST = "nowhere.invalid"
NAME = b"nobody"
FIELDS = {b"uid": b"65534", b"gid": b"65534", b"home": NOWHERE.encode()}
TOKEN = b"01" * 21
URL = b"imap://%s@%s/INBOX;UIDVALIDITY=1/;UID=1;URLAUTH=user+%s:internal:%s" % (NAME, HOST.encode(), NAME, TOKEN)
MESSAGE = b"Subject: warm-up\n\nNothing.\n"


SILENT = Log("", LogPipe(to_master=False))
"""Nothing but debug lines are written here, and this pipe has no debugging."""


async def warm_up(loop: Loop, config: WorkerConfig, log: Log = SILENT) -> None:
    """Go through handshake, lookup, account, URL, token and message."""
    dialect = config.dialect
    _shake_hands(dialect.control_order)
    AuthMaster(dialect.userdb_minor).user_lookup(1, NAME, dialect.userdb_parameter, debug=False)
    settings = Settings({"imap_urlauth_host": HOST, **language_of(dialect).maildir_at(NOWHERE)})
    account = resolve_account(NAME, FIELDS, settings, dialect)
    store = open_store(account, dialect, NATIVE, config.engine, loop, lambda text: None)
    target = OpenedTarget(NAME, account.settings, store)
    userdb = Userdb(loop, dialect, os.fsencode(NOWHERE))
    access, rules = Access(NAME, b"imap"), dialect.load_url_rules()
    fetcher = UrlFetcher(loop, target, access, rules, userdb, log, refusal_time=0)
    await fetcher.fetch(_command())
    fetcher.close()
    content = fetch(BytesSource(MESSAGE), Request(section=b""), dialect.load_message_rules())
    b"".join(content.chunks)


def _shake_hands(order: ControlOrder) -> None:
    control = ControlServer(order, "")
    opening = [(b"0", [0]), (VERSION, [])]
    for data, fds in opening if order is ControlOrder.FD_FIRST else reversed(opening):
        control.receive_data(data, fds)
        control.next_event()
    control.receive_data(access_line(Access(NAME, b"imap")))
    control.next_event()
    control.data_to_send()


def _command() -> UrlCommand:
    reader = CommandReader()
    reader.selected()
    reader.receive_data(b"URL\t" + URL + b"\n")
    command = reader.next_event()
    assert command is not None  # noqa: S101 - a whole line was fed
    return command  # type: ignore[return-value]
