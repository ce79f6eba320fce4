"""Where the owner of shared mail lives: the userdb is asked, with the rights of the target user.

auth answers a peer that is not root only about users with the peer's own uid, unless the socket's mode says
otherwise; a refusal is left to Dovecot's own imap, which asks the same and says why it failed.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.worker.userdb import LookupFailed, Userdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.native.owners import FindOwner
    from dovecot_urlauth.worker.target import WorkerConfig


def owner_finder(loop: Loop, config: WorkerConfig, log: Log) -> FindOwner:
    """What finds an owner's home; it connects when it is first called, by then as the target user."""
    asked: list[Userdb] = []

    async def find(name: bytes) -> bytes | None:
        if not asked:
            asked.append(Userdb(loop, config.dialect, config.userdb_path))
        [userdb] = asked
        try:
            reply = await userdb.ask(name, debug=log.pipe.debugging)
        except LookupFailed as error:
            raise Unsupported(f"an owner whom auth does not tell about: {error}") from None
        if reply is None:
            return None
        home = reply.fields.get(b"home", b"")
        if not home:
            raise Unsupported("an owner without a home")
        return home

    return find
