"""The words of ``dovecot-urlauth monitor``, and its life as a service."""

from __future__ import annotations

import signal
import site
from threading import Thread
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.monitor.background import in_background
from dovecot_urlauth.admin.monitor.failure import MonitorFailure
from dovecot_urlauth.admin.monitor.view import picture, watch
from dovecot_urlauth.admin.monitor.watched import Watched
from dovecot_urlauth.admin.usage import WrongUsage, seconds

if TYPE_CHECKING:
    import argparse
    from wsgiref.simple_server import WSGIServer

LOOPBACK = "127.0.0.1"
INTERVAL = 2.0
ENDING = (signal.SIGTERM, signal.SIGINT)
PACKAGES = {
    "prometheus_client": "python3-prometheus-client",
    "decorator": "python3-decorator",
    "daemon": "python3-daemon",
    "lockfile": "python3-lockfile",
}
"""Which of Debian's packages has a module that is missing."""

NAMES = {
    "--listen": "listen",
    "--once": "once",
    "--interval": "interval",
    "--daemon": "daemon",
    "--pid-file": "pid_file",
    "--user": "user",
}
NEEDS = {"--daemon": "--listen", "--pid-file": "--daemon", "--user": "--daemon"}
EXCLUDES = (("--listen", "--once"), ("--listen", "--interval"), ("--once", "--interval"))


def add_monitor_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it to the command line."""
    what = "show the services' processes, sessions and memory, or offer them to Prometheus"
    monitor = commands.add_parser("monitor", help=what, description=what)
    monitor.add_argument("-c", dest="file", metavar="FILE", help="compare with this configuration, and its limits")
    monitor.add_argument("--base-dir", metavar="DIR", help="only the Dovecot with this base_dir")
    monitor.add_argument("--once", action="store_true", help="show it once")
    monitor.add_argument("--interval", type=seconds, metavar="SECONDS", help=f"between two looks; {INTERVAL:g}")
    monitor.add_argument("--listen", metavar="[ADDRESS:]PORT", help="answer Prometheus; on loopback unless told")
    monitor.add_argument("--daemon", action="store_true", help="with --listen: go to the background")
    monitor.add_argument("--pid-file", metavar="FILE", help="with --daemon: locked while it runs")
    monitor.add_argument("--user", metavar="NAME", help="with --daemon: become this user; PSS is then not known")
    monitor.set_defaults(run=run_monitor)


def run_monitor(given: argparse.Namespace) -> int:
    """Return the exit status. Raises NoMaster, MonitorFailure, WrongUsage."""
    _check_words(given)
    if given.listen:
        return _serve(given)
    if given.once:
        print(picture(Watched.find(given.base_dir, given.file)))
        return 0
    return watch(Watched.find(given.base_dir, given.file), given.interval or INTERVAL)


def parse_listen(text: str) -> tuple[str, int]:
    """Address and port; loopback when only a port is given. Raises MonitorFailure."""
    address, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise MonitorFailure(f"--listen={text}: not a port")
    return address.strip("[]") or LOOPBACK, int(port)


def _check_words(given: argparse.Namespace) -> None:
    """Raises WrongUsage for a word that would be without effect."""
    words = {option: getattr(given, name) for option, name in NAMES.items()}
    for option, needed in NEEDS.items():
        if words[option] and not words[needed]:
            raise WrongUsage(f"monitor: {option} is of use only with {needed}")
    for one, other in EXCLUDES:
        if words[one] and words[other]:
            raise WrongUsage(f"monitor: {one} and {other} do not go together")


def _serve(given: argparse.Namespace) -> int:
    address, port = parse_listen(given.listen)
    watched = Watched.find(given.base_dir, given.file)
    watched.prepare()
    for folder in site.getsitepackages():
        site.addsitedir(folder)  # an installation holds what the services need; this needs the distribution's
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        from dovecot_urlauth.admin.monitor.metrics import listen  # as root: others may not read our folders

        with listen(address, port, watched) as server:
            if given.daemon:
                in_background(lambda: _answer(server), [server.fileno()], given.pid_file, given.user)
            else:
                shown = f"[{address}]" if ":" in address else address
                print(f"http://{shown}:{server.server_port}/metrics", flush=True)
                _answer(server)
    except ImportError as error:
        package = PACKAGES.get(error.name or "", "")
        raise MonitorFailure(f"{error}: install {package or ' and '.join(PACKAGES.values())}") from error
    except OSError as error:
        raise MonitorFailure(f"cannot listen on {address} port {port}: {error.strerror}") from error
    return 0


def _answer(server: WSGIServer) -> None:
    """Until a signal ends it."""
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    signal.sigwait(ENDING)
    server.shutdown()
    thread.join()
