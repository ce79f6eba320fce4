"""What the one file holds: the installation's conf.d file for this Dovecot, and settings that are missing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.live.account import all_users, doveadm
from dovecot_urlauth.admin.master import running_master

if TYPE_CHECKING:
    from dovecot_urlauth.admin.doveconf import Configuration

FILE_NAME = "90-urlauth.conf"
EXECUTABLES_ONLY = "90-urlauth-executables.conf"

HEADING = "# Written by 'dovecot-urlauth enable'; 'dovecot-urlauth disable' takes it away.\n"
"""The first line, by which our file is known."""

CHANGE = (
    "# To change a limit or an option, change it in {source}\n"
    "# and run 'dovecot-urlauth enable' again, which writes this file anew.\n"
)
_CHANGE_LINES = re.compile(re.escape(CHANGE).replace(re.escape("{source}"), ".*"), re.M)

HOST = "# the host that URLs name, the same in imap and in the worker\nimap_urlauth_host = {host}\n"
HOST_LINE = re.compile(r"^[ \t]*imap_urlauth_host[ \t]*=.*$", re.M)
DICTIONARY = {
    True: "# where each mailbox keeps the key of its URLs\nmail_attribute_dict = file:%h/dovecot-attributes\n",
    False: (
        "# where each mailbox keeps the key of its URLs\n"
        "mail_attribute {\n  dict file {\n    path = %{home}/dovecot-attributes\n  }\n}\n"
    ),
}
"""By whether it is 2.3."""
CAPABILITY = (
    '# 2.4 does not announce URLAUTH by itself\nimap_capability {\n  URLAUTH = yes\n  "URLAUTH=BINARY" = yes\n}\n'
)


class SwitchFailure(Exception):
    """Why nothing was changed; the text says what would help."""


@dataclass(frozen=True)
class Wish:
    """What the administrator asked for."""

    executables_only: bool
    host: str | None
    """What imap_urlauth_host is set to where it is not set."""


def installation() -> str:
    """The folder that dovecot-urlauth was installed into. Raises SwitchFailure in a checkout."""
    prefix = os.path.realpath(f"{__file__}/../../../../../..")
    if not os.path.isdir(f"{prefix}/share/dovecot-urlauth/conf.d"):
        raise SwitchFailure(
            "this is no installation: run 'make install PREFIX=/some/dir', and its bin/dovecot-urlauth"
        )
    return prefix


def compose(configuration: Configuration, prefix: str, wish: Wish, old: str | None) -> str:
    """The file's text; settings that ``old``, the file as it is, holds are kept. Raises SwitchFailure, OSError."""
    language = "2.3" if configuration.is_2_3 else "2.4"
    name = EXECUTABLES_ONLY if wish.executables_only else FILE_NAME
    source = os.path.realpath(f"{prefix}/share/dovecot-urlauth/conf.d/{language}/{name}")
    with open(source, encoding="utf-8") as file:
        services = "".join(line for line in file if not line.startswith("#"))
    kept = _kept_settings(old, wish)
    added = _missing_settings(configuration, wish, kept)
    return "\n".join([HEADING + CHANGE.format(source=source), *kept, *added, services.strip("\n") + "\n"])


def _kept_settings(old: str | None, wish: Wish) -> list[str]:
    """What stands before the services in a file of ours, word for word, but for the host that is asked for."""
    if old is None or not old.startswith(HEADING):
        return []
    kept = _CHANGE_LINES.sub("", old.removeprefix(HEADING)).partition("\nservice ")[0].strip("\n")
    if wish.host is not None:
        kept = HOST_LINE.sub(lambda _: f"imap_urlauth_host = {wish.host}", kept)
    return [f"{kept}\n"] if kept else []


def advice(configuration: Configuration) -> list[str]:
    """What URLAUTH still lacks, with the lines that give it, when no host was named."""
    lines = []
    if not configuration.as_imap.get("imap_urlauth_host"):
        lines.append("imap_urlauth_host is not set: URLAUTH is off until it is. Give it with --host NAME.")
    if not has_dictionary(configuration):
        example = DICTIONARY[configuration.is_2_3].replace("\n", "\n    ").rstrip()
        lines.append(f"mailboxes have nowhere to keep a key. Set, where users have a home:\n    {example}")
    return lines


def has_dictionary(configuration: Configuration) -> bool:
    """Whether mailboxes have somewhere to keep keys."""
    if configuration.is_2_3:
        return bool(configuration.as_imap.get("mail_attribute_dict"))
    return bool(configuration.as_imap.block("mail_attribute").blocks)


def news_of_host(before: Configuration, after: Configuration, wish: Wish) -> list[str]:
    """What became of the host that was asked for."""
    was, now = before.as_imap.get("imap_urlauth_host"), after.as_imap.get("imap_urlauth_host")
    lines = []
    if wish.host not in (None, now):
        lines.append(
            f"another file than {FILE_NAME} sets imap_urlauth_host = {now}: --host {wish.host} is not used. "
            "Change it there, if it is wrong."
        )
    if was and was != now:
        lines.append(f"imap_urlauth_host was {was}: URLs that were signed with it are refused from now on.")
    return lines


def _missing_settings(configuration: Configuration, wish: Wish, kept: list[str]) -> list[str]:
    """Settings are only added where --host says that URLAUTH is wanted at all."""
    if wish.host is None:
        return []
    added = []
    if not configuration.as_imap.get("imap_urlauth_host") and not any(map(HOST_LINE.search, kept)):
        added.append(HOST.format(host=wish.host))
    if not has_dictionary(configuration):
        _check_homes(configuration)
        added.append(DICTIONARY[configuration.is_2_3])
    if not configuration.is_2_3 and "URLAUTH" not in configuration.as_imap.block("imap_capability").settings:
        added.append(CAPABILITY)
    return added


def _check_homes(configuration: Configuration) -> None:
    """A dictionary below a home that users do not have locks every user of 2.3 out of IMAP."""
    for user in all_users(configuration.file)[:1]:
        done = doveadm(configuration.file, "user", user)
        fields = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
        if fields.get("home"):
            return
        raise SwitchFailure(
            f"{user} has no home in the userdb: set the attribute dictionary to another place first"
        )
    runs = running_master(configuration.base_dir) is not None
    why, remedy = ("the userdb lists no user", "set") if runs else ("Dovecot does not run", "start it, or set")
    raise SwitchFailure(
        f"{why}, so whether users have a home is not known: "
        f"{remedy} the attribute dictionary first, for example\n{DICTIONARY[configuration.is_2_3]}"
    )
