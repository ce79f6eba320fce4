"""imap-urlauth-worker without master: the fetch protocol on stdin and stdout (imap-urlauth-worker.c).

``-a`` names an access application, the argument is the access user; without one it is $USER.  The service
counts as imap, $DEBUG turns debugging on.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_OK, Fatal, Start
from dovecot_urlauth.wire.control import Access, Descriptors
from dovecot_urlauth.wire.fetch import OK_LINE, CommandReader, UserCommand
from dovecot_urlauth.worker.channel import ClientChannel
from dovecot_urlauth.worker.reception import client_prefix
from dovecot_urlauth.worker.session import ANONYMOUS, ClientSession, next_command
from dovecot_urlauth.worker.target import become, find_resident
from dovecot_urlauth.worker.userdb import UserdbConnection
from dovecot_urlauth.worker.waiting import ConnectionOver, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dovecot_urlauth.service.options import Options
    from dovecot_urlauth.worker.target import WorkerConfig
    from dovecot_urlauth.worker.waiting import Conversation

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
    try:
        Watch().converse(_serve(start, config, access))
    except ConnectionOver as over:
        if over.text:
            start.log.error(over.text)
    except PrivilegesKept as error:
        raise Fatal(str(error)) from error
    return EXIT_OK


def _serve(start: Start, config: WorkerConfig, access: Access) -> Conversation[None]:
    """USER, then URLs until END."""
    channel = ClientChannel(Descriptors(STDIN, STDOUT))
    userdb = UserdbConnection(config.dialect, config.userdb_path)
    log = start.log.with_prefix(client_prefix(access))
    command = yield from next_command(CommandReader(), channel, log)
    if not isinstance(command, UserCommand):
        raise AssertionError("a command before USER")
    about = start.log.with_prefix(f"imap-urlauth-worker({os.fsdecode(command.name)}): ")
    target = become(find_resident(command.name, config, userdb, about), config, about, lambda: None)
    yield from channel.write(OK_LINE)
    log = start.log.with_prefix(client_prefix(access, target.name))
    yield from ClientSession(channel, access, target, config.dialect, userdb, log).run()
