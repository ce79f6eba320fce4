"""imap-urlauth-worker without master: the fetch protocol on stdin and stdout (imap-urlauth-worker.c).

``-a`` names an access application, the argument is the access user; without one it is $USER.  The service
counts as imap, $DEBUG turns debugging on.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.descriptor import Descriptor
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_OK, Fatal, Start
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.worker.client import ANONYMOUS, Client, SessionOver, client_prefix, new_session, user_prefix
from dovecot_urlauth.worker.pipes import open_connection
from dovecot_urlauth.worker.session import hear_user, serve_client
from dovecot_urlauth.worker.target import find_target, open_target
from dovecot_urlauth.worker.userdb import Userdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dovecot_urlauth.service.options import Options
    from dovecot_urlauth.worker.target import WorkerConfig

STDIN, STDOUT = 0, 1


def serve_standard_streams(start: Start, config: WorkerConfig, options: Options, arguments: Sequence[str]) -> int:
    """Serve until END or the end of input; return the exit status. Raises Fatal."""
    user = arguments[0] if arguments else os.environ.get("USER", "")
    if not user:
        raise Fatal("USER environment missing")
    if "DEBUG" in os.environ:
        start.log.pipe.debugging = True
    applications = tuple(os.fsencode(name) for name in options.all("a"))
    access = Access(None if user == ANONYMOUS else os.fsencode(user), b"imap", applications, False)
    loop = Loop()
    try:
        loop.run(_serve(loop, start, config, access))
    except SessionOver as over:
        if over.text:
            start.log.error(over.text)
    except PrivilegesKept as error:
        raise Fatal(str(error)) from error
    return EXIT_OK


async def _serve(loop: Loop, start: Start, config: WorkerConfig, access: Access) -> None:
    """USER, then URLs until END."""
    client = Client(open_connection(loop, Descriptor(STDIN), Descriptor(STDOUT)), access)
    userdb = Userdb(loop, config.dialect, config.userdb_path)
    name = await hear_user(client, start.log.with_prefix(client_prefix(access)))
    prefix = user_prefix(name, access, config.dialect, config.settings, new_session())
    about = start.log.with_prefix(prefix)
    user = await find_target(name, access, config, userdb, about)
    userdb.close()
    target = await open_target(loop, user, config, about, lambda: None)
    await serve_client(loop, client, target, config, userdb, start.log)
