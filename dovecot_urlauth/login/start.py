"""imap-urlauth-login's start: everything that needs root or files comes before the chroot.

The options are login-common/main.c's; ``-D`` and ``-S`` mean nothing to this service.
"""

from __future__ import annotations

import resource

from dovecot_urlauth.config.read import read_settings
from dovecot_urlauth.config.wanted import LOGIN
from dovecot_urlauth.login.logformat import LogFormat
from dovecot_urlauth.login.stage import LoginStage
from dovecot_urlauth.service import sandbox
from dovecot_urlauth.service.options import parse_options
from dovecot_urlauth.service.privileges import drop_to_restrictions
from dovecot_urlauth.service.process import ServiceProcess
from dovecot_urlauth.service.run import Fatal, Start
from dovecot_urlauth.service.title import start_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.start.cpython import socket

OPTIONS = "c:i:kLo:O:Dl:R:S"
SOCKET_DIRECTORY = b"token-login/"


def serve(start: Start, client: socket | None, preconnected: socket | None) -> int:
    """Serve clients until nothing is left to do, ``client`` first; ``preconnected`` leads to imap-urlauth."""
    options, arguments = parse_options(start, OPTIONS, sandbox.OPTION)
    mode = sandbox.MODES[options.last("sandbox", "auto")]
    if not start.environment.under_master:
        raise Fatal("This must be started by Dovecot's master process")
    settings = read_settings(start.environment, start.dialect.config_source, LOGIN, start.log.warning)
    texts = start.dialect.login_texts
    log_format = LogFormat(
        settings.get("login_log_format", texts.log_format),
        settings.get("login_log_format_elements", texts.log_format_elements),
        texts.element_rules,
    )
    if settings.flag("auth_debug"):
        start.log.pipe.debugging = True
    title = start_title(start, settings)
    process = ServiceProcess(start.environment, start.dialect, start.log)
    restrictions = start.environment.restrictions
    if restrictions.chroot is not None:
        process.stats.load()
    drop_to_restrictions(restrictions)
    if restrictions.uid is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    auth_socket = arguments[0] if arguments else settings.get("login_socket_path")
    stage = LoginStage(
        process,
        title,
        log_format,
        directory=b"" if restrictions.chroot is not None else SOCKET_DIRECTORY,
        auth_socket=auth_socket.encode(),
        handoff_socket=options.last("l", "").encode(),
        preconnected=preconnected,
        calls_ahead=process.slots.left != 1,
        stats=process.stats,
    )
    stage.start()
    sandbox.enter(mode, start.log)
    process.serve(stage, client)
    return 0
