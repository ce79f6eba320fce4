"""imap-urlauth-worker's start: settings read once, everything imported before the first fork.

Usage: imap-urlauth-worker [--store=auto|native|dovecot] [-o setting=value]... [-a application]... [access-user]

``-o`` overrides a setting for all target users.  ``-a`` and the access user are for stand-alone use.
"""

from __future__ import annotations

import gc
import os

from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.read import (
    LayoutUnknown,
    read_config_file,
    read_printed,
    read_settings,
    receive_config_fd,
)
from dovecot_urlauth.config.wanted import BACKENDS, TARGET_USER
from dovecot_urlauth.dialect.dialect import ConfigSource
from dovecot_urlauth.service import sandbox
from dovecot_urlauth.service.options import parse_options
from dovecot_urlauth.service.process import ServiceProcess
from dovecot_urlauth.service.run import EXIT_USAGE, Fatal, Start, run
from dovecot_urlauth.service.title import start_title
from dovecot_urlauth.store.engine.engine_start import prepare_engine
from dovecot_urlauth.store.fallback import AUTO, DOVECOT
from dovecot_urlauth.worker.parent.stage import WorkerStage
from dovecot_urlauth.worker.target import WorkerConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.options import Options

NAME = "imap-urlauth-worker"
OPTIONS = "a:c:i:kLo:O"
LONG_OPTIONS = {
    "store": ("auto", "native", "dovecot"),
    "audit": ("no", "yes"),
    "backends": ("here", "ask"),
    **sandbox.OPTION,
}
LIBEXEC_DIRS = ("/usr/lib/dovecot", "/usr/libexec/dovecot", "/usr/local/libexec/dovecot")
"""Where Dovecot's programs are as Debian, as Red Hat and Alpine, and as its own makefiles have it: a default of
libexec_dir that is compiled in, and that nobody tells."""
AUTH_SOCKET = "auth-userdb"
WORKER_SOCKET = "imap-urlauth-worker"


def find_libexec_dir(folders: tuple[str, ...] = LIBEXEC_DIRS) -> str:
    """The first folder that holds an executable imap; the first of all if none does."""
    return next((folder for folder in folders if os.access(f"{folder}/imap", os.X_OK)), folders[0])


def main(argv: list[str]) -> int:
    """Return the exit status."""
    return run(argv, NAME, serve)


def serve(start: Start) -> int:
    options, arguments = parse_options(start, OPTIONS, LONG_OPTIONS, obeyed="o")
    config = _configure(
        start,
        mode=options.last("store", "auto"),
        boxed=sandbox.MODES[options.last("sandbox", "auto")],
        audit=options.last("audit", "no") == "yes",
        asks_backends=options.last("backends", "here") == "ask",
        overrides=_overrides(options),
    )
    if not start.environment.under_master:
        from dovecot_urlauth.worker.standalone import serve_standard_streams

        return serve_standard_streams(start, config, options, arguments)
    if arguments:
        raise Fatal(f"Unknown argument: {arguments[0]}", EXIT_USAGE)
    process = ServiceProcess(start.environment, start.dialect, start.log)
    title = start_title(start, config.settings)
    stage = WorkerStage(process, title, config, _allowed_uids(config))
    if process.slots.left != 1:
        _preload(config, start.log)
    process.serve(stage)
    return stage.exit_status


def _overrides(options: Options) -> dict[str, str]:
    """The settings that ``-o`` names. Raises Fatal."""
    overrides = {}
    for word in options.all("o"):
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Fatal(f"Invalid -o parameter {word}: Missing '='", EXIT_USAGE)
        overrides[name] = value
    return overrides


def _configure(
    start: Start,
    *,
    mode: str,
    boxed: sandbox.Mode,
    audit: bool,
    asks_backends: bool,
    overrides: Mapping[str, str],
) -> WorkerConfig:
    """Everything that takes root to find out."""
    settings, config_fd, is_whole = _read_settings(start)
    settings = settings.merged(overrides)
    if not is_whole and mode == AUTO:
        mode = DOVECOT  # which defaults a driver has is not said, and Dovecot's own imap knows
    source = start.dialect.config_source
    if settings.flag("mail_debug"):
        start.log.pipe.debugging = True
    libexec_dir = os.fsencode(settings.get("libexec_dir") or find_libexec_dir())
    imported = language_of(start.dialect).imported_variables(settings)
    base_dir = settings.get("base_dir") or os.getcwd()
    return WorkerConfig(
        dialect=start.dialect,
        settings=settings.merged({"base_dir": base_dir}),
        engine=prepare_engine(settings, libexec_dir, config_fd, imported, overrides=overrides),
        store_mode=mode,
        sandbox=boxed,
        audit=audit,
        backends=read_settings(start.environment, source, BACKENDS) if asks_backends else None,
        overrides=frozenset(overrides),
        extra_groups=start.environment.restrictions.extra_groups,
        base_dir=os.fsencode(base_dir),
        userdb_path=os.fsencode(os.path.join(base_dir, settings.get("auth_socket_path", AUTH_SOCKET))),
    )


def _read_settings(start: Start) -> tuple[Settings, int | None, bool]:
    """The target users' settings, and whether they are whole: of a layout that we do not know, defaults are not.

    2.4's configuration stays open, since the engine reads it, too.
    """
    source, warn = start.dialect.config_source, start.log.warning
    if source is ConfigSource.TEXT_SOCKET:
        return read_settings(start.environment, source, TARGET_USER, warn), None, True
    from dovecot_urlauth.config.engine_config import config_for_engine

    config_fd = receive_config_fd(start.environment)
    is_whole = True
    try:
        settings = read_config_file(config_fd, source, TARGET_USER)
    except LayoutUnknown as error:
        settings, is_whole = read_printed(start.environment, TARGET_USER, error, warn), False
    return settings, config_for_engine(config_fd, source), is_whole


def _allowed_uids(config: WorkerConfig) -> frozenset[int]:
    """Root and the owner of our socket, which is what ``service imap-urlauth`` runs as."""
    socket = config.base_dir + b"/" + WORKER_SOCKET.encode()
    try:
        return frozenset((0, os.stat(socket).st_uid))
    except OSError:
        return frozenset((0,))


def _preload(config: WorkerConfig, log: Log) -> None:
    """Load and run what a child would load on use; what the parent has, its children share."""
    from dovecot_urlauth.start.immortal import CountUnknown, immortalize
    from dovecot_urlauth.worker.preload import preload

    preload(config)
    try:
        immortalize()
    except CountUnknown as unknown:
        log.debug(f"Children share less of their parent's memory: immortal objects: {unknown}")
        gc.collect()
        gc.freeze()
