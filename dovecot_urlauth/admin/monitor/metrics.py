"""The same picture in numbers, for Prometheus: collected anew at each scrape (prometheus-client)."""

from __future__ import annotations

import socket
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily

from dovecot_urlauth.admin.check_services import SERVICES
from dovecot_urlauth.admin.master import MasterUnknown, NoMaster
from dovecot_urlauth.admin.monitor.sample import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from dovecot_urlauth.admin.check_services import Limits
    from dovecot_urlauth.admin.monitor.sample import Sample
    from dovecot_urlauth.admin.monitor.watched import Watched

PREFIX = "dovecot_urlauth"


class ProcessCollector:
    """Looks at /proc when it is asked."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def collect(self) -> Iterator[Metric]:
        """Every number of one sample; of a Dovecot that does not run only that it does not.

        Of one that only root may know about, nothing: what is not known is neither up nor down.
        """
        try:
            sample = self._watched.sample()
        except MasterUnknown:
            return
        except NoMaster:
            yield GaugeMetricFamily(f"{PREFIX}_up", "Whether this Dovecot runs", value=0)
            return
        yield GaugeMetricFamily(f"{PREFIX}_up", "Whether this Dovecot runs", value=1)
        yield _processes(sample)
        yield from _by_service(sample)
        if (targets := sample.targets()) is not None:
            yield GaugeMetricFamily(f"{PREFIX}_targets", "Users whose mail is being read", value=len(targets))
        text = "Services with processes that are not those of the configuration"
        yield GaugeMetricFamily(f"{PREFIX}_warnings", text, value=len(self._watched.warnings(sample)))
        yield from _limits(self._watched.limits())


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each scrape: a slow client keeps nobody waiting."""

    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No line for each scrape."""


def listen(address: str, port: int, watched: Watched) -> WSGIServer:
    """What answers scrapes once it serves. Raises OSError.

    prometheus_client's own start_http_server gives its server back only since 0.19.
    """
    registry = CollectorRegistry()
    registry.register(ProcessCollector(watched))
    server = _Server6 if ":" in address else _Server
    return make_server(address, port, make_wsgi_app(registry), server, handler_class=_Silent)


def _processes(sample: Sample) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}_processes", "Processes", labels=["service", "state", "program"])
    for service in SERVICES:
        for state in State:
            for ours, program in ((True, "dovecot-urlauth"), (False, "dovecot")):
                count = sum(1 for one in sample.of(service) if one.state is state and one.ours is ours)
                family.add_metric([service, state.value, program], count)
    return family


def _by_service(sample: Sample) -> Iterator[GaugeMetricFamily]:
    families = (
        ("sessions", "Sessions, where process titles tell", sample.sessions),
        ("pss_bytes", "Memory, each shared page by its share", sample.memory),
        ("resident_bytes", "Memory, shared pages in full", lambda service: _total(sample, service)),
        ("oldest_process_seconds", "Age of the oldest process", lambda service: _oldest(sample, service)),
        (
            "start_time_seconds",
            "When the oldest process was started, Unix time",
            lambda name: _started(sample, name),
        ),
    )
    for name, text, read in families:
        family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["service"])
        for service in SERVICES:
            value = read(service)
            if value is not None:
                family.add_metric([service], value)
        yield family


def _total(sample: Sample, service: str) -> int:
    return sum(one.resident for one in sample.of(service))


def _started(sample: Sample, service: str) -> float | None:
    """To the second: a value that changes is a restart, and nothing else."""
    age = _oldest(sample, service)
    return None if age is None else round(sample.taken - age)


def _limits(limits: dict[str, Limits]) -> Iterator[GaugeMetricFamily]:
    """What sessions and processes are to be compared with; nothing without the configuration."""
    processes = GaugeMetricFamily(f"{PREFIX}_process_limit", "Processes that may run", labels=["service"])
    sessions = GaugeMetricFamily(f"{PREFIX}_session_limit", "Sessions that there may be", labels=["service"])
    for service, limit in limits.items():
        processes.add_metric([service], limit.processes)
        sessions.add_metric([service], limit.processes * limit.clients)
    yield from (family for family in (processes, sessions) if family.samples)


def _oldest(sample: Sample, service: str) -> float | None:
    return max((one.age for one in sample.of(service)), default=None)
