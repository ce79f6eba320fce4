"""Will imap make URLs, and does the worker know them as this server's: host, port, keys, capability."""

from __future__ import annotations

from collections.abc import Iterator

from dovecot_urlauth.admin.check_dictionary import check_dictionary
from dovecot_urlauth.admin.doveconf import Configuration
from dovecot_urlauth.admin.findings import Finding, fail, note, ok, warn
from dovecot_urlauth.admin.host import host_fault
from dovecot_urlauth.admin.live.backend import asks_backends, is_imapc

IMAP_PORT = "143"
ANY_HOST = "*"
CAPABILITIES = ("URLAUTH", "URLAUTH=BINARY")


def check_settings(configuration: Configuration) -> Iterator[Finding]:
    """The settings that URLAUTH needs, whoever's executables serve it."""
    yield from _check_protocols(configuration)
    yield from _check_host(configuration)
    yield from _check_port(configuration)
    yield from check_dictionary(configuration)
    yield from _check_capability(configuration)
    yield from _check_role(configuration)


def _check_protocols(configuration: Configuration) -> Iterator[Finding]:
    if not configuration.serves("imap"):
        yield fail("protocols has no imap, so that none of the three services runs")


def _check_host(configuration: Configuration) -> Iterator[Finding]:
    signed = configuration.as_imap.get("imap_urlauth_host")
    served = configuration.as_worker.get("imap_urlauth_host")
    if not signed and not served:
        yield fail("imap_urlauth_host is not set: URLAUTH is off; set it to the host that URLs are to name")
    elif not served:
        yield fail(f"imap_urlauth_host = {signed} holds for imap only, and the worker refuses every URL")
    elif not signed:
        yield fail(f"imap_urlauth_host = {served} holds for the worker only, and imap makes no URLs")
    elif signed != ANY_HOST and (fault := host_fault(signed)):
        yield fail(f"imap_urlauth_host = {signed} is no host: {fault}")
    elif served not in (signed, ANY_HOST):
        yield fail(f"imap_urlauth_host is {signed} for imap and {served} for the worker: no URL fits both")
    else:
        yield ok(f"imap_urlauth_host = {served}")


def _check_port(configuration: Configuration) -> Iterator[Finding]:
    port = configuration.as_worker.get("imap_urlauth_port", IMAP_PORT)
    if port != configuration.as_imap.get("imap_urlauth_port", IMAP_PORT):
        yield fail("imap_urlauth_port differs between imap and the worker")
    elif port != IMAP_PORT:
        yield note(f"imap_urlauth_port = {port}: URLs must name this port behind the host")


def _check_capability(configuration: Configuration) -> Iterator[Finding]:
    missing = _unannounced(configuration)
    if missing:
        yield note(f"imap_capability has no {' and no '.join(missing)}: it works, but clients are not told")


def _check_role(configuration: Configuration) -> Iterator[Finding]:
    """A backend that asks others is asked by them, unless it is an imapc frontend, which has no mail."""
    if not asks_backends(configuration):
        return
    if is_imapc(configuration):
        yield note("an imapc frontend: URLs that its own imap signs are refused, those of the backend are served")
    elif configuration.as_imap.get("imap_metadata") != "yes":
        yield warn("other backends cannot ask this one for its users' mail: set imap_metadata = yes for imap")


def _unannounced(configuration: Configuration) -> list[str]:
    """The capabilities that clients do not see: 2.3 adds them by itself, unless its list is replaced."""
    if not configuration.is_2_3:
        announced = configuration.as_imap.block("imap_capability").settings
        return [name for name in CAPABILITIES if announced.get(name) != "yes"]
    replaced = configuration.as_imap.get("imap_capability", "+")
    return [] if replaced.startswith("+") else [name for name in CAPABILITIES if name not in replaced.split()]
