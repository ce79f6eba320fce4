"""Where a namespace's mail lies: ``mail_location`` of Dovecot 2.3, ``mail_path`` and its companions of 2.4.

Matches mailbox_list_settings_parse_full in lib-storage/mailbox-list.c and the drivers' defaults
(maildir_storage_get_list_settings, dbox_storage_get_list_settings and mbox_storage_get_list_settings, in 2.4
maildir-settings.c, sdbox-settings.c and mbox-settings.c).  A driver or a key that we do not know is unsupported.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.settings import is_yes
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAILDIRPP = "maildir++"
FS = "fs"
LISTED = "index"
"""Mailboxes in directories with their GUID's name, which the index of the mailbox list knows."""
SEPARATORS = {MAILDIRPP: b".", FS: b"/", LISTED: b"~"}
"""The layouts we know, each with what stands between the parts of a stored name."""
LISTED_ESCAPE = "^"
"""The escape character that the layout ``index`` brings along."""


@frozen
class DriverRules:
    """What a mail driver brings along when nobody set it."""

    driver: str
    """The driver's own name; 2.3 knows a second one."""
    path: str
    """mail_path of 2.4."""
    layout: str = FS
    inbox_is_root: bool = False
    """INBOX is the mail root itself."""
    inbox_name: str = ""
    """What INBOX is called in the mail root, if not INBOX."""
    mailboxes: str = ""
    directory_name: str = ""
    has_alt: bool = False
    """Old mail may be in a second storage."""
    mailbox_is_file: bool = False
    """A mailbox is no directory, and nothing is put before or behind its name."""


MAILDIR = "maildir"
SDBOX = "sdbox"
MDBOX = "mdbox"
MBOX = "mbox"

_SDBOX_RULES = DriverRules(SDBOX, "~/sdbox", mailboxes="mailboxes", directory_name="dbox-Mails", has_alt=True)
DRIVERS = {
    MAILDIR: DriverRules(MAILDIR, "~/Maildir", MAILDIRPP, inbox_is_root=True),
    SDBOX: _SDBOX_RULES,
    "dbox": _SDBOX_RULES,
    MDBOX: DriverRules(MDBOX, "~/mdbox", mailboxes="mailboxes", directory_name="dbox-Mails", has_alt=True),
    MBOX: DriverRules(MBOX, "~/mail", inbox_name="inbox", mailbox_is_file=True),
}
"""The mail drivers that the native store has a reader for (store/native/driver.py), as settings name them."""


@frozen
class Location:
    """A mail storage: absolute paths without a final slash; None where Dovecot uses the mail root."""

    root: bytes
    layout: str = MAILDIRPP
    inbox: bytes | None = None
    """Where INBOX is, unless it is a mailbox like any other."""
    index: bytes | None = None
    control: bytes | None = None
    utf8: bool = False
    mailboxes: bytes = b""
    """MAILBOXDIR: the directory below the root that holds the mailboxes."""
    directory_name: bytes = b""
    """DIRNAME: a directory below each mailbox's own that holds the mail."""
    index_has_directory_name: bool = False
    """FULLDIRNAME: the index and control directories have it too."""
    driver: str = MAILDIR
    alt: bytes | None = None
    """ALT, the root of the second storage."""
    escape: bytes = b""
    """What stands in stored names before two digits for a character that they cannot have."""
    visible_escape: bytes = b""
    """BROKENCHAR: what stands in names before two digits for a byte of a stored name that is not mUTF-7."""

    @property
    def has_attachments(self) -> bool:
        """Whether parts of messages may be in files of their own."""
        return DRIVERS[self.driver].has_alt

    def folders(self) -> tuple[bytes, ...]:
        """Every folder below which something may have to be read."""
        inbox = self.inbox
        if inbox is not None and DRIVERS[self.driver].mailbox_is_file:
            inbox = os.path.dirname(inbox)
        return tuple(path for path in (self.root, inbox, self.index, self.control, self.alt) if path)


HARMLESS = frozenset(
    "ALTNOCHECK INDEXCACHE INDEXPVT ITERINDEX LISTINDEX NO-NOSELECT SUBSCRIPTIONS VOLATILEDIR".split()
)
"""Keys that do not matter to where bytes are."""
NO_ESCAPES = "&-+,./~"
"""Characters of mUTF-7 and of paths, with which escaping would depend on the version."""

PATHS = {"INBOX": "inbox", "INDEX": "index", "CONTROL": "control", "ALT": "alt"}
LAYOUT_KEYS = frozenset(("BROKENCHAR", "LAYOUT", "DIRNAME", "FULLDIRNAME", "MAILBOXDIR", "UTF-8"))


def parse_mail_location(text: str, home: bytes | None, *, is_inbox: bool, escape: str = "") -> Location:
    """2.3: ``<driver>:<root>[:KEY[=VALUE]]...``, variables expanded.  Raises UnsupportedSetting.

    ``is_inbox`` says whether the namespace has INBOX, which a maildir then has at the root itself; ``escape`` is
    listescape's character.
    """
    driver, colon, rest = text.partition(":")
    if not colon or driver not in DRIVERS:
        raise UnsupportedSetting(f"mail_location is {driver}:" if colon else "mail_location has no driver")
    rules = DRIVERS[driver]
    root, *words = split_words(rest)
    values: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        values[key] = value
    unknown = set(values) - HARMLESS - set(PATHS) - LAYOUT_KEYS
    if "ALT" in values and not rules.has_alt:
        unknown.add("ALT")
    if unknown:
        raise UnsupportedSetting(f"mail_location has {min(unknown)}")
    if values.get("INDEX") == "MEMORY":
        raise UnsupportedSetting("mail_location has INDEX=MEMORY")
    paths = {field: to_path(values[key], home) for key, field in PATHS.items() if key in values}
    at = to_path(root, home)
    directory_name = values.get("FULLDIRNAME", values.get("DIRNAME", "")) or rules.directory_name
    layout = values.get("LAYOUT", rules.layout)
    if layout == LISTED and {"ITERINDEX", "LISTINDEX"} & set(values):
        raise UnsupportedSetting("mail_location has another place for the list of mailboxes")
    has_own_inbox = is_inbox and layout != LISTED
    return _complete(
        rules,
        root=at,
        layout=layout,
        inbox=paths.get("inbox", _default_inbox(rules, at, directory_name) if has_own_inbox else None),
        index=paths.get("index"),
        control=paths.get("control"),
        alt=paths.get("alt"),
        utf8="UTF-8" in values,
        mailboxes=values.get("MAILBOXDIR", "") or rules.mailboxes,
        directory_name=directory_name,
        index_has_directory_name="FULLDIRNAME" in values,
        escape=escape or (LISTED_ESCAPE if layout == LISTED else ""),
        visible_escape=values.get("BROKENCHAR", ""),
    )


def _default_inbox(rules: DriverRules, root: bytes, directory_name: str) -> bytes | None:
    if rules.inbox_name:
        return root + b"/" + rules.inbox_name.encode()
    return root if rules.inbox_is_root and not directory_name else None


def split_words(text: str) -> list[str]:
    """The words between single colons; two of them are one that belongs to its word."""
    words: list[str] = []
    glue = False
    for piece in text.split(":"):
        if glue and words:
            words[-1] += ":" + piece
            glue = False
        elif not piece and words:
            glue = True
        else:
            words.append(piece)
    return words


def from_mail_settings(get: Callable[[str], str | None], home: bytes | None) -> Location:
    """2.4: ``get(name)`` looks a setting up in the namespace, then outside; None when nobody set it.

    A setting that somebody set to nothing has that value, and not the default: with ``mail_inbox_path =`` INBOX is
    a mailbox like any other.  Raises UnsupportedSetting.
    """

    def text(name: str, default: str) -> str:
        found = get(name)
        return default if found is None else found

    driver = text("mail_driver", "")
    if driver not in DRIVERS:
        raise UnsupportedSetting(f"mail_driver is {driver or 'not set'}")
    rules = DRIVERS[driver]
    if text("mail_index_path", "") == "MEMORY":
        raise UnsupportedSetting("mail_index_path is MEMORY")
    root = to_path(text("mail_path", rules.path), home)
    layout = text("mailbox_list_layout", rules.layout)
    default_inbox = "." if rules.inbox_is_root and layout != LISTED else rules.inbox_name
    inbox = text("mail_inbox_path", default_inbox)
    index, control, alt = (
        to_path(path, home) if path else None
        for path in (text("mail_index_path", ""), text("mail_control_path", ""), text("mail_alt_path", ""))
    )
    if rules.mailbox_is_file and not inbox:
        raise UnsupportedSetting("mail_inbox_path is blank")
    if root in (index, control):
        raise UnsupportedSetting("mail_index_path or mail_control_path is mail_path")
    directory_name = text("mailbox_directory_name", rules.directory_name)
    if directory_name and not rules.directory_name:
        raise UnsupportedSetting(f"mailbox_directory_name is {directory_name}")
    if alt and not rules.has_alt:
        raise UnsupportedSetting("mail_alt_path is set")
    return _complete(
        rules,
        root=root,
        layout=layout,
        inbox=to_path(inbox, home, root) if inbox else None,
        index=index,
        control=control,
        alt=alt,
        utf8=is_yes(text("mailbox_list_utf8", "no")),
        mailboxes=text("mailbox_root_directory_name", rules.mailboxes),
        directory_name=directory_name,
        index_has_directory_name=not is_yes(text("mailbox_directory_name_legacy", "no")),
        escape=text("mailbox_list_storage_escape_char", LISTED_ESCAPE if layout == LISTED else ""),
        visible_escape=text("mailbox_list_visible_escape_char", ""),
    )


def to_path(text: str, home: bytes | None, base: bytes | None = None) -> bytes:
    """An absolute path, ``~`` resolved, without a final slash; relative ones start at ``base`` if there is one."""
    path = text.encode("utf-8", "surrogateescape")
    if path == b"~" or path.startswith(b"~/"):
        if not home:
            raise UnsupportedSetting("user has no home directory")
        path = home + path[1:]
    elif base is not None and path and path[:1] not in (b"/", b"~"):
        path = base if path == b"." else base + b"/" + path
    if not path.startswith(b"/") or b"\0" in path:
        raise UnsupportedSetting(f"path {text!r} is not absolute")
    return path.rstrip(b"/") or b"/"


def _complete(
    rules: DriverRules,
    *,
    root: bytes,
    layout: str,
    inbox: bytes | None,
    index: bytes | None,
    control: bytes | None,
    alt: bytes | None,
    utf8: bool,
    mailboxes: str,
    directory_name: str,
    index_has_directory_name: bool,
    escape: str,
    visible_escape: str,
) -> Location:
    for character in filter(None, (escape, visible_escape)):
        if len(character) > 1 or not character.isascii() or character.isalnum() or character in NO_ESCAPES:
            raise UnsupportedSetting(f"escape character of mailbox names is {character}")
    if layout not in SEPARATORS:
        raise UnsupportedSetting(f"mailbox list layout is {layout}")
    if layout == MAILDIRPP and directory_name:
        raise UnsupportedSetting("mailbox directory name with Maildir++")
    if rules.directory_name and not directory_name:
        raise UnsupportedSetting(f"mailbox directory name of {rules.driver} is blank")
    if rules.mailbox_is_file and (layout != FS or directory_name or mailboxes.strip("/")):
        raise UnsupportedSetting(f"mailbox names of {rules.driver} are not those of files")
    if rules.driver == MDBOX and not mailboxes.strip("/"):
        raise UnsupportedSetting("mailbox root directory name of mdbox is blank")  # Dovecot refuses it
    if layout == LISTED:
        if inbox is not None or not escape or escape == visible_escape or directory_name != rules.directory_name:
            raise UnsupportedSetting(f"mailbox list layout is {layout}, and an odd one")
        return Location(
            root=root,
            layout=layout,
            index=None if index == root else index,
            control=None if control == root else control,
            utf8=utf8,
            mailboxes=mailboxes.encode("utf-8", "surrogateescape").strip(b"/"),
            driver=rules.driver,
            alt=alt,
            escape=escape.encode(),
            visible_escape=visible_escape.encode(),
        )
    return Location(
        root=root,
        layout=layout,
        inbox=inbox,
        index=None if index == root else index,
        control=None if control == root else control,
        utf8=utf8,
        mailboxes=mailboxes.encode("utf-8", "surrogateescape").strip(b"/"),
        directory_name=directory_name.encode("utf-8", "surrogateescape").rstrip(b"/"),
        index_has_directory_name=bool(directory_name) and index_has_directory_name,
        driver=rules.driver,
        alt=alt,
        escape=escape.encode(),
        visible_escape=visible_escape.encode(),
    )
