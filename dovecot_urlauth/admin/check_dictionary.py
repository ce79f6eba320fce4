"""Where mailboxes keep the keys of their URLs: the attribute dictionary, as far as the configuration tells."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from dovecot_urlauth.admin.doveconf import Block, Configuration
from dovecot_urlauth.admin.findings import Finding, fail, ok

EXAMPLE = {
    True: "mail_attribute_dict = file:%h/dovecot-attributes",
    False: "mail_attribute { dict file { path = %{home}/dovecot-attributes } }",
}
"""By whether it is 2.3."""

#: driver of lib-dict -> whether it can keep what is given to it
DRIVERS = {
    "file": True,
    "proxy": True,
    "redis": True,
    "sql": True,
    "fs": True,
    "memcached_ascii": True,
    "ldap": False,
    "cdb": False,
    "memcached": False,
    "fail": False,
}

REDIS_HOST, REDIS_PORT = "127.0.0.1", "6379"
PATIENCE = 3.0
"""Seconds to wait for a server."""


@dataclass(frozen=True)
class Dictionary:
    """One dictionary: 2.3's ``driver:text``, or 2.4's block."""

    driver: str
    text: str
    """Of 2.3: what stands behind the driver; of 2.4: the block's header."""
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text if self.options else f"{self.driver}:{self.text}"

    def option(self, *names: str) -> str:
        """The first of these settings that is there."""
        return next((self.options[name] for name in names if self.options.get(name)), "")


def attribute_dictionary(configuration: Configuration, view: Block) -> Dictionary | None:
    """The attribute dictionary of imap or of the worker; None where there is none."""
    if configuration.is_2_3:
        return _parse_2_3(view.get("mail_attribute_dict"))
    for header, block in view.block("mail_attribute").blocks.items():
        return _parse_2_4(header, block)
    return None


def _dictionaries(configuration: Configuration) -> list[str]:
    """2.4: the names of the dictionaries, of which Dovecot takes only one."""
    return [header.removeprefix("dict ") for header in configuration.as_worker.block("mail_attribute").blocks]


def _parse_2_3(text: str) -> Dictionary | None:
    driver, _, rest = text.partition(":")
    options = (
        dict(word.partition("=")[::2] for word in rest.split(":") if "=" in word) if driver == "redis" else {}
    )
    return Dictionary(driver, rest if not options else text, options) if text else None


def _parse_2_4(header: str, block: Block) -> Dictionary:
    name = header.removeprefix("dict ")
    return Dictionary(block.get("driver", block.get("dict_driver", name)), name, {"name": name, **block.settings})


def check_dictionary(configuration: Configuration) -> Iterator[Finding]:
    """Whether imap and the worker have the same dictionary, and whether it can keep anything."""
    signing = attribute_dictionary(configuration, configuration.as_imap)
    serving = attribute_dictionary(configuration, configuration.as_worker)
    if signing is None and serving is None:
        example = EXAMPLE[configuration.is_2_3]
        yield fail(f"there is no attribute dictionary, so that no mailbox can have a key; for example: {example}")
    elif signing is None or serving is None or signing != serving:
        names = f"imap's is {signing or 'none'}, the worker's is {serving or 'none'}"
        yield fail(f"imap and the worker look for mailbox keys in different attribute dictionaries: {names}")
    elif (named := _dictionaries(configuration))[1:]:
        yield fail(f"mailbox keys have no place: mail_attribute has two dictionaries, {' and '.join(named)}")
    elif fault := _fault(configuration, serving):
        yield fail(f"mailbox keys have no place: {fault}")
    else:
        yield ok(f"mailbox keys are in the attribute dictionary {serving}")


def _fault(configuration: Configuration, dictionary: Dictionary) -> str:
    """Why keys cannot be kept there; "" if nothing speaks against it."""
    if dictionary.driver not in DRIVERS:
        return f"Dovecot has no dictionary driver {dictionary.driver!r}"
    if not DRIVERS[dictionary.driver]:
        return f"the dictionary driver {dictionary.driver} keeps nothing"
    if dictionary.driver == "proxy":
        return _proxy_fault(configuration, dictionary)
    return _redis_fault(dictionary) if dictionary.driver == "redis" else ""


def _proxy_fault(configuration: Configuration, dictionary: Dictionary) -> str:
    if configuration.is_2_3:
        name = dictionary.text.rpartition(":")[2]  # proxy::name or proxy:socket:name
        behind = _parse_2_3(configuration.everything.block("dict").get(name))
        where = "dict { }"
    else:
        name = dictionary.option("proxy_name", "dict_proxy_name", "name")
        block = configuration.everything.block("dict_server").blocks.get(f"dict {name}")
        behind = None if block is None else _parse_2_4(name, block)
        where = "dict_server { }"
    if behind is None:
        return f"{where} has no {name or 'dictionary'!r}, which {dictionary} names"
    if behind.driver == "proxy":
        return f"{where} sends {name!r} to another proxy"
    return _fault(configuration, behind)


def _redis_fault(dictionary: Dictionary) -> str:
    """Whether the server takes a connection now."""
    path = dictionary.option("path", "redis_socket_path")
    host = dictionary.option("host", "redis_host") or REDIS_HOST
    port = dictionary.option("port", "redis_port") or REDIS_PORT
    place = path or f"{host} port {port}"
    try:
        if path:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(path)
        else:
            socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        return f"redis at {place} does not answer: {error}"
    return ""
