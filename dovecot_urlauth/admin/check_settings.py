"""Will imap make URLs, and does the worker know them as this server's: host, port, keys, capability."""

from __future__ import annotations

from collections.abc import Iterator

from dovecot_urlauth.admin.doveconf import Block, Configuration
from dovecot_urlauth.admin.findings import Finding, fail, note, ok

IMAP_PORT = "143"
DICTIONARY_DRIVERS = ("file", "proxy", "redis", "sql", "ldap", "fs", "cdb", "memcached", "memcached_ascii", "fail")
CAPABILITIES = ("URLAUTH", "URLAUTH=BINARY")

DICTIONARY_EXAMPLE = {
    True: "mail_attribute_dict = file:%h/dovecot-attributes",
    False: "mail_attribute { dict file { path = %{home}/dovecot-attributes } }",
}


def check_settings(configuration: Configuration) -> Iterator[Finding]:
    """The settings that URLAUTH needs, whoever's executables serve it."""
    yield from _check_protocols(configuration)
    yield from _check_host(configuration)
    yield from _check_port(configuration)
    yield from _check_dictionary(configuration)
    yield from _check_capability(configuration)


def _check_protocols(configuration: Configuration) -> Iterator[Finding]:
    listed = configuration.everything.get("protocols").split()
    # 2.4 knows a second form, a block of yes and no
    chosen = configuration.everything.block("protocols").settings
    if "imap" not in listed and chosen.get("imap") != "yes":
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
    elif "/" in signed or ":" in signed:
        yield fail(f"imap_urlauth_host = {signed} is no host: no scheme, port or path may stand in it")
    elif served not in (signed, "*"):
        yield fail(f"imap_urlauth_host is {signed} for imap and {served} for the worker: no URL fits both")
    else:
        yield ok(f"imap_urlauth_host = {served}")


def _check_port(configuration: Configuration) -> Iterator[Finding]:
    port = configuration.as_worker.get("imap_urlauth_port", IMAP_PORT)
    if port != configuration.as_imap.get("imap_urlauth_port", IMAP_PORT):
        yield fail("imap_urlauth_port differs between imap and the worker")
    elif port != IMAP_PORT:
        yield note(f"imap_urlauth_port = {port}: URLs must name this port behind the host")


def _check_dictionary(configuration: Configuration) -> Iterator[Finding]:
    signing = _dictionary(configuration, configuration.as_imap)
    serving = _dictionary(configuration, configuration.as_worker)
    if not signing and not serving:
        example = DICTIONARY_EXAMPLE[configuration.is_2_3]
        yield fail(f"there is no attribute dictionary, so that no mailbox can have a key; for example: {example}")
    elif signing != serving:
        names = f"imap's is {signing or 'none'}, the worker's is {serving or 'none'}"
        yield fail(f"imap and the worker look for mailbox keys in different attribute dictionaries: {names}")
    elif fault := _dictionary_fault(configuration, serving):
        yield fail(f"mailbox keys have no place: {fault}")
    else:
        yield ok(f"mailbox keys are in the attribute dictionary {serving}")


def _dictionary(configuration: Configuration, view: Block) -> str:
    if configuration.is_2_3:
        return view.get("mail_attribute_dict")
    return ", ".join(header.removeprefix("dict ") for header in view.block("mail_attribute").blocks)


def _dictionary_fault(configuration: Configuration, dictionary: str) -> str:
    """Why keys cannot be kept there, as far as the configuration tells; "" if nothing speaks against it."""
    if configuration.is_2_3:
        driver, _, rest = dictionary.partition(":")
        named = configuration.everything.block("dict").settings
        # proxy::name or proxy:socket:name
        name = rest.rpartition(":")[2]
    else:
        driver, name, _ = f"{dictionary} ".split(" ", 2) if " " in dictionary else (dictionary, "", "")
        server = configuration.everything.block("dict_server")
        named = {header.removeprefix("dict "): "" for header in server.blocks}
        block = configuration.as_worker.block("mail_attribute").block(f"dict {dictionary}")
        name = block.get("name", block.get("dict_proxy_name", name))
    if driver not in DICTIONARY_DRIVERS:
        return f"Dovecot has no dictionary driver {driver!r}"
    if driver == "proxy" and name not in named:
        where = "dict { }" if configuration.is_2_3 else "dict_server { }"
        return f"{where} has no {name or 'dictionary'!r}, which {dictionary} names"
    return ""


def _check_capability(configuration: Configuration) -> Iterator[Finding]:
    missing = _unannounced(configuration)
    if missing:
        yield note(f"imap_capability has no {' and no '.join(missing)}: it works, but clients are not told")


def _unannounced(configuration: Configuration) -> list[str]:
    """The capabilities that clients do not see: 2.3 adds them by itself, unless its list is replaced."""
    if not configuration.is_2_3:
        announced = configuration.as_imap.block("imap_capability").settings
        return [name for name in CAPABILITIES if announced.get(name) != "yes"]
    replaced = configuration.as_imap.get("imap_capability", "+")
    return [] if replaced.startswith("+") else [name for name in CAPABILITIES if name not in replaced.split()]
