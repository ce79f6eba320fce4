"""What a kind of mail store is: its settings in both languages, and how generated messages come into it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testing.versions import PIECES
from tests.dovecot.differential import dictionaries
from tests.dovecot.differential.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testing.executables import Installation
    from testing.instance import DovecotInstance
    from testing.versions import Version

MAILDIR = "maildir"
LANGUAGES = ("2.3", "2.4")


@dataclass(frozen=True)
class Saver:
    """A second name of alice's, under which the userdb has other settings for what is saved."""

    name: str
    old: str
    new: str

    def fields(self, version: Version) -> str:
        """Of the userdb, after one another."""
        settings = self.old if version.language == "2.3" else self.new
        return " ".join(f"userdb_{setting}" for setting in settings.split(" "))


@dataclass(frozen=True)
class MailStore:
    """One kind of storage, in both configuration languages."""

    name: str
    old: str = ""
    new: str = ""
    languages: tuple[str, ...] = LANGUAGES
    """Those that have it."""
    needs: str = ""
    """A module that the machine's own Dovecot may lack, and that of a tree does."""
    keys: Callable[[DovecotInstance], list[bytes]] = dictionaries.in_file
    """The keys of alice's mailboxes."""
    prepare: Callable[[DovecotInstance], None] = dictionaries.nothing
    """What has to be there before the start."""
    more: Callable[[Version], str] | None = None
    """Settings that are made anew for each Dovecot."""
    takes_files: bool = False
    """Messages are put into the mailbox as they are; otherwise imap stores them."""
    methods: tuple[str, ...] = ("",)
    """How files are compressed, one after the other; nothing is plain."""
    savers: tuple[Saver, ...] = ()
    """Who saves messages through imap, in turns with alice herself."""
    has_alt: bool = False
    """Some of the mail is moved to a second storage."""
    has_acl: bool = False
    """Mailboxes have ACL files; one of them may not be read."""
    names: Names = field(default_factory=Names)
    has_writer: bool = False
    """A second session changes the mailbox while it is asked about."""
    read_by: str = "native"
    """Our worker's ``--store``: ``auto`` may leave a mailbox to Dovecot's own imap, ``dovecot`` does it always."""
    is_rewritten: bool = False
    """Dovecot writes the mails' own headers anew, as flags change."""
    loses_returns: bool = False
    """Dovecot loses CRs at the end of a part that it stores apart, and notes another size than comes out."""
    per_message: int = 8
    """Questions about one message."""

    def is_for(self, version: Version) -> bool:
        """Whether this Dovecot has it."""
        has_module = not self.needs or (version.suite is None and os.path.exists(self.needs))
        return version.language in self.languages and has_module

    def folder(self, mailbox: str) -> str:
        """Where a mailbox lies that has an ACL file, below alice's home."""
        if self.names.prefix and mailbox != "INBOX":
            return f"public/mailboxes/{mailbox.removeprefix(self.names.prefix)}/dbox-Mails"
        return "Maildir/" if mailbox == "INBOX" else f"Maildir/.{mailbox}"

    def settings(self, version: Version, installation: Installation, base: Path) -> str:
        """The configuration; ``base`` is for `BASE`."""
        executable = f"{installation.executables}/{PIECES[2]} --store={self.read_by}"
        worker = f"service {PIECES[2]} {{\n  executable = {executable}\n}}\n"
        own = (self.old if version.language == "2.3" else self.new).replace("BASE", str(base))
        own += self.more(version) if self.more else ""
        return own + ("" if self.name == MAILDIR else worker)
