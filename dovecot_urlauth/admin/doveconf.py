"""Dovecot's configuration as doveconf prints it, for reports (the services read theirs in `service`).

doveconf prints ``name = value`` lines and ``kind name { ... }`` blocks, in 2.3 and in 2.4.  With
``service`` as argument it prints every service with its built-in defaults, which 2.4 keeps back
from ``-a``.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field

from dovecot_urlauth.admin.wrong_language import explain_language

DOVECONF = "/usr/bin/doveconf"

#: What doveconf reads unless told otherwise.
DEFAULT_FILE = "/etc/dovecot/dovecot.conf"

#: What such a Dovecot calls itself, before a number and a commit.
BUILT_FROM_GIT = "0.0.0"

#: What is asked as imap sees it, and as the worker does.
VIEWED = (
    "imap_urlauth_host", "imap_urlauth_port", "mail_attribute_dict", "mail_attribute", "imap_capability",
    "mail_plugins", "imap_metadata",
)  # fmt: skip


class DoveconfError(Exception):
    """There is no configuration to look at; the text says why."""


@dataclass
class Block:
    """Settings and the blocks within, by their text before the brace: ``unix_listener auth-master``."""

    settings: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """A setting's value, or the default if it is absent or empty."""
        return self.settings.get(name) or default

    def block(self, header: str) -> Block:
        """The block with this header; an empty one if there is none."""
        return self.blocks.get(header, Block())

    @property
    def is_empty(self) -> bool:
        return not self.settings and not self.blocks


@dataclass(frozen=True)
class Configuration:
    """One Dovecot: its version, its configuration file, and what it says."""

    version: str
    file: str
    everything: Block
    as_imap: Block
    as_worker: Block

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers, to be compared; a build from git is newer than every release."""
        released = self.version.partition("-")[0]
        if released == BUILT_FROM_GIT:
            return (9999,)
        return tuple(int(part) for part in released.split(".") if part.isdigit())

    @property
    def is_2_3(self) -> bool:
        return self.numbers < (2, 4)

    @property
    def base_dir(self) -> str:
        """Where the sockets are."""
        return self.everything.get("base_dir", "/run/dovecot")

    def service(self, name: str) -> Block:
        """A service's block, its defaults included."""
        return self.everything.block(f"service {name}")

    def serves(self, protocol: str) -> bool:
        """Whether ``protocols`` has it, as a list or, since 2.4, as a block of yes and no."""
        listed = self.everything.get("protocols").split()
        return protocol in listed or self.everything.block("protocols").get(protocol) == "yes"

    def value_of(self, text: str) -> str:
        """A value, or what the setting holds that it stands for (``$name``, since 2.4 ``$SET:name``)."""
        if text.startswith("$"):
            return self.everything.get(text.removeprefix("$").removeprefix("SET:"))
        return text


def read_configuration(file: str | None) -> Configuration:
    """Run doveconf, on this file or the one that it finds by itself; raises :class:`DoveconfError`."""
    options = ["-c", file] if file else []
    printed = _run([*options, "-a"])
    everything = parse(printed)
    everything.blocks.update(parse(_run([*options, "service"])).blocks)
    version, path = _parse_heading(printed)
    # 2.3's worker asks for its settings under its own name, 2.4's as protocol imap
    worker = "service=imap-urlauth-worker" if version.startswith("2.3") else "protocol=imap"
    return Configuration(
        version=version,
        file=path,
        everything=everything,
        as_imap=parse(_run([*options, "-f", "protocol=imap", *VIEWED])),
        as_worker=parse(_run([*options, "-f", worker, *VIEWED])),
    )


def parse(text: str) -> Block:
    """Read what doveconf prints; a line that is neither setting nor brace is passed over."""
    stack = [Block()]
    for line in map(str.strip, text.splitlines()):
        name, equals, value = line.partition(" =")
        if line.startswith("#"):
            continue
        if equals:
            stack[-1].settings[name.strip('"')] = _unquote(value.strip())
        elif line.endswith("{"):
            inner = stack[-1].blocks.setdefault(line[:-1].strip(), Block())
            stack.append(inner)
        elif line == "}" and len(stack) > 1:
            stack.pop()
    return stack[0]


def _unquote(value: str) -> str:
    """A value without the quotes that doveconf puts around spaces at its ends: ``" imap submission"``."""
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return value
    return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _parse_heading(text: str) -> tuple[str, str]:
    """Version and file from the first line: ``# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf``."""
    heading = text.partition("\n")[0].removeprefix("# ")
    version, _, rest = heading.partition(" ")
    if not version[:1].isdigit():
        raise DoveconfError(f"doveconf printed no version but {heading!r}")
    return version, rest.partition(": ")[2]


def _run(arguments: list[str]) -> str:
    command = [shutil.which("doveconf") or DOVECONF, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", check=False)  # noqa: S603
    except OSError as error:
        raise DoveconfError(f"{command[0]}: {error.strerror}: is Dovecot installed?") from error
    if done.returncode != 0:
        said = done.stderr.strip() or f"doveconf ended with status {done.returncode}"
        raise DoveconfError("\n".join(filter(None, (said, explain_language(said)))))
    return done.stdout
