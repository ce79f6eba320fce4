"""The words of ``dovecot-urlauth monitor``, and its life as a service."""

from __future__ import annotations

import os
import pwd
import signal
import site
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.monitor.view import picture, watch
from dovecot_urlauth.admin.monitor.watched import Watched

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager

LOOPBACK = "127.0.0.1"
INTERVAL = 2.0
LOCK_PATIENCE = 1.0
"""Seconds to wait for a pid file that another one holds."""
ENDING = (signal.SIGTERM, signal.SIGINT)
LIBRARIES = "python3-prometheus-client and python3-daemon (or: pip install prometheus-client python-daemon)"


class MonitorFailure(Exception):
    """Why there is no monitor."""


def add_monitor_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it to the command line."""
    what = "show the services' processes, sessions and memory, or offer them to Prometheus"
    monitor = commands.add_parser("monitor", help=what, description=what)
    monitor.add_argument("-c", dest="file", metavar="FILE", help="compare with this configuration, and its limits")
    monitor.add_argument("--base-dir", metavar="DIR", help="only the Dovecot with this base_dir")
    monitor.add_argument("--once", action="store_true", help="show it once")
    monitor.add_argument("--interval", type=float, default=INTERVAL, metavar="SECONDS", help="between two looks")
    monitor.add_argument("--listen", metavar="[ADDRESS:]PORT", help="answer Prometheus; on loopback unless told")
    monitor.add_argument("--daemon", action="store_true", help="with --listen: go to the background")
    monitor.add_argument("--pid-file", metavar="FILE", help="with --daemon: locked while it runs")
    monitor.add_argument("--user", metavar="NAME", help="with --daemon: become this user; PSS is then not known")
    monitor.set_defaults(run=run_monitor)


def run_monitor(given: argparse.Namespace) -> int:
    """Return the exit status. Raises NoMaster, MonitorFailure."""
    if given.listen:
        return _serve(given)
    if given.once:
        print(picture(Watched.find(given.base_dir, given.file)))
        return 0
    if not given.interval > 0:
        raise MonitorFailure(f"--interval={given.interval:g}: not a time to wait")
    return watch(Watched.find(given.base_dir, given.file), given.interval)


def parse_listen(text: str) -> tuple[str, int]:
    """Address and port; loopback when only a port is given. Raises MonitorFailure."""
    address, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise MonitorFailure(f"--listen={text}: not a port")
    return address.strip("[]") or LOOPBACK, int(port)


def _serve(given: argparse.Namespace) -> int:
    address, port = parse_listen(given.listen)
    watched = Watched.find(given.base_dir, given.file)
    for folder in site.getsitepackages():
        site.addsitedir(folder)  # an installation holds what the services need; this needs the distribution's
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        from dovecot_urlauth.admin.monitor.metrics import serve  # as root: others may not read our folders

        with _background(given) if given.daemon else nullcontext():
            server, thread = serve(address, port, watched)
            if not given.daemon:
                print(f"http://{address}:{server.server_port}/metrics", flush=True)
            signal.sigwait(ENDING)
            server.shutdown()
            thread.join()
    except ImportError as error:
        raise MonitorFailure(f"{error}: install {LIBRARIES}") from error
    except OSError as error:
        raise MonitorFailure(f"cannot listen on {address} port {port}: {error.strerror}") from error
    return 0


def _background(given: argparse.Namespace) -> AbstractContextManager[object]:
    """python-daemon's: detached, its pid file locked, as an unprivileged user."""
    import daemon  # type: ignore[import-untyped]
    from daemon.pidfile import TimeoutPIDLockFile  # type: ignore[import-untyped]

    pid_file = TimeoutPIDLockFile(given.pid_file, LOCK_PATIENCE) if given.pid_file else None
    if pid_file is not None and (holder := pid_file.read_pid()) is not None:
        if _runs(holder):
            raise MonitorFailure(f"{given.pid_file} is locked: process {holder} runs already")
        pid_file.break_lock()
    who = _account(given.user) if given.user else None
    context: AbstractContextManager[object] = daemon.DaemonContext(
        pidfile=pid_file,
        uid=who.pw_uid if who else None,
        gid=who.pw_gid if who else None,
        signal_map={},
        stderr=sys.stderr,
    )
    return context


def _runs(pid: int) -> bool:
    """Whether there is such a process; that it may not be signalled says that there is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise MonitorFailure(f"--user={name}: no such user") from error
