"""imap-urlauth's start: settings and auth-master as root, then root is given up."""

from __future__ import annotations

import os

from dovecot_urlauth.broker.auth import Auth
from dovecot_urlauth.broker.identity import ServiceUsers
from dovecot_urlauth.broker.stage import BrokerStage
from dovecot_urlauth.config.read import read_settings
from dovecot_urlauth.config.wanted import BROKER
from dovecot_urlauth.service import sandbox
from dovecot_urlauth.service.options import parse_options
from dovecot_urlauth.service.privileges import drop_to_restrictions
from dovecot_urlauth.service.process import ServiceProcess
from dovecot_urlauth.service.run import Fatal, Start
from dovecot_urlauth.service.sockets import connect_unix
from dovecot_urlauth.service.title import start_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.start.cpython import socket

OPTIONS = "a:c:i:kLo:O"
AUTH_MASTER = "auth-master"
CONNECT_PATIENCE = 1.0
"""Seconds to wait for auth, before there is any client."""
WORKER_SOCKET = b"imap-urlauth-worker"


def serve(start: Start, preconnected: socket | None) -> int:
    """Serve clients until there is nothing left to do; ``preconnected`` leads to the first one's worker."""
    options, _ = parse_options(start, OPTIONS, sandbox.OPTION)
    mode = sandbox.MODES[options.last("sandbox", "auto")]
    if not start.environment.under_master:
        from dovecot_urlauth.broker.standalone import serve_standard_streams

        return serve_standard_streams(start)
    settings = read_settings(start.environment, start.dialect.config_source, BROKER, start.log.warning)
    if settings.flag("mail_debug"):
        start.log.pipe.debugging = True
    process = ServiceProcess(start.environment, start.dialect, start.log)
    auth_path = options.last("a", AUTH_MASTER)
    if start.dialect.auth_master_path_setting:
        auth_path = settings.get("auth_master_socket_path", auth_path)
    try:
        connected = connect_unix(os.fsencode(auth_path), patience=CONNECT_PATIENCE)
    except OSError as error:
        raise Fatal(f"net_connect_unix({auth_path}) failed: {error.strerror}") from error
    base_dir = os.fsencode(settings.get("base_dir") or os.getcwd())
    where = os.path.join(base_dir, os.fsencode(auth_path))
    auth = Auth(process.loop, start.log, start.dialect, connected, process.stats, where)
    drop_to_restrictions(start.environment.restrictions)
    users = ServiceUsers(
        submit=os.fsencode(settings.get("imap_urlauth_submit_user")),
        stream=os.fsencode(settings.get("imap_urlauth_stream_user")),
    )
    worker_path = base_dir + b"/" + WORKER_SOCKET
    title = start_title(start, settings)
    is_lasting = process.slots.left != 1
    stage = BrokerStage(
        process, title, auth, users, worker_path, preconnected, process.stats, calls_ahead=is_lasting
    )
    stage.start()
    sandbox.enter(mode, start.log)
    process.serve(stage)
    return 0
