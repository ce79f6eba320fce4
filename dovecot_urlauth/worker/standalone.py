"""imap-urlauth-worker without master: the fetch protocol on stdin and stdout (imap-urlauth-worker.c).

``-a`` names an access application, the argument is the access user; without one it is $USER.  The service
counts as imap, $DEBUG turns debugging on.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_OK, Fatal, Start
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.worker.channel import ClientChannel, ConnectionOver, Watch
from dovecot_urlauth.worker.session import ClientSession
from dovecot_urlauth.worker.target import WorkerConfig
from dovecot_urlauth.worker.userdb import UserdbConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dovecot_urlauth.service.options import Options

STDIN, STDOUT = 0, 1
ANONYMOUS = "anonymous"


def serve_standard_streams(
    start: Start, config: WorkerConfig, options: Options, arguments: Sequence[str]
) -> int:
    """Serve until END or the end of input; return the exit status. Raises Fatal."""
    user = arguments[0] if arguments else os.environ.get("USER", "")
    if not user:
        raise Fatal("USER environment missing")
    if "DEBUG" in os.environ:
        start.log.pipe.debugging = True
    applications = tuple(os.fsencode(name) for name in options.all("a"))
    access = Access(None if user == ANONYMOUS else os.fsencode(user), b"imap", applications, False)
    channel = ClientChannel(Watch(), STDIN, STDOUT, None)
    try:
        userdb = UserdbConnection(config.dialect, config.userdb_path)
        ClientSession(config, userdb, channel, access, start.log, lambda title: None).run()
    except ConnectionOver as over:
        if over.text:
            start.log.error(over.text)
    except PrivilegesKept as error:
        raise Fatal(str(error)) from error
    return EXIT_OK
