"""Where a namespace's mail lies: ``mail_location`` of Dovecot 2.3, ``mail_path`` and its companions of 2.4.

Matches mailbox_list_settings_parse_full in lib-storage/mailbox-list.c and maildir's defaults
(index/maildir/maildir-storage.c, in 2.4 maildir-settings.c).  Whatever is not a plain maildir is Unsupported.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.wire.value import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAILDIRPP = "maildir++"
FS = "fs"
SEPARATORS = {MAILDIRPP: b".", FS: b"/"}
"""The layouts we know, each with what stands between the parts of a stored name."""


@record(frozen=True, slots=True)
class Location:
    """A maildir storage: absolute paths without a final slash; None where Dovecot uses the mail root."""

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


UNSUPPORTED_SETTINGS = (
    "mail_alt_path",
    "mail_index_private_path",
    "mailbox_directory_name",
    "mailbox_list_storage_escape_char",
    "mailbox_list_visible_escape_char",
)
"""Settings of 2.4 that are empty in a plain maildir."""

HARMLESS = frozenset(
    ("SUBSCRIPTIONS", "VOLATILEDIR", "INDEXCACHE", "LISTINDEX", "ITERINDEX", "NO-NOSELECT", "ALTNOCHECK")
)
"""Keys that do not matter to where bytes are."""

PATHS = {"INBOX": "inbox", "INDEX": "index", "CONTROL": "control"}


def parse_mail_location(text: str, home: bytes | None, *, is_inbox: bool) -> Location:
    """2.3: ``maildir:<root>[:KEY[=VALUE]]...``, variables expanded.  Raises Unsupported.

    ``is_inbox`` says whether the namespace has INBOX, which then is the root itself.
    """
    driver, colon, rest = text.partition(":")
    if not colon or driver != "maildir":
        raise Unsupported(f"mail_location is {driver}:" if colon else "mail_location has no driver")
    root, *words = split_words(rest)
    values: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        values[key] = value
    unknown = set(values) - HARMLESS - set(PATHS) - {"LAYOUT", "DIRNAME", "FULLDIRNAME", "MAILBOXDIR", "UTF-8"}
    if unknown:
        raise Unsupported(f"mail_location has {min(unknown)}")
    if values.get("INDEX") == "MEMORY":
        raise Unsupported("mail_location has INDEX=MEMORY")
    paths = {field: to_path(values[key], home) for key, field in PATHS.items() if key in values}
    return _complete(
        root=to_path(root, home),
        layout=values.get("LAYOUT", MAILDIRPP),
        inbox=paths.get("inbox"),
        index=paths.get("index"),
        control=paths.get("control"),
        utf8="UTF-8" in values,
        mailboxes=values.get("MAILBOXDIR", ""),
        directory_name=values.get("FULLDIRNAME", values.get("DIRNAME", "")),
        index_has_directory_name="FULLDIRNAME" in values,
        is_inbox=is_inbox,
    )


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


def from_mail_settings(get: Callable[[str, str], str], home: bytes | None, *, is_inbox: bool) -> Location:
    """2.4: ``get(name, default)`` looks a setting up in the namespace, then outside, variables expanded.

    Raises Unsupported.
    """
    driver = get("mail_driver", "")
    if driver != "maildir":
        raise Unsupported(f"mail_driver is {driver or 'not set'}")
    for name in UNSUPPORTED_SETTINGS:
        if get(name, ""):
            raise Unsupported(f"{name} is set")
    if get("mailbox_list_validate_fs_names", "yes")[:1] in "nN0":
        raise Unsupported("mailbox_list_validate_fs_names is off")
    if get("mail_index_path", "") == "MEMORY":
        raise Unsupported("mail_index_path is MEMORY")
    root = to_path(get("mail_path", "%{home}/Maildir"), home)
    index, control = (
        to_path(text, home) if text else None
        for text in (get("mail_index_path", ""), get("mail_control_path", ""))
    )
    if root in (index, control):
        raise Unsupported("mail_index_path or mail_control_path is mail_path")
    return _complete(
        root=root,
        layout=get("mailbox_list_layout", MAILDIRPP),
        inbox=to_path(get("mail_inbox_path", "."), home, root),
        index=index,
        control=control,
        utf8=get("mailbox_list_utf8", "no")[:1] in "yY1",
        mailboxes=get("mailbox_root_directory_name", ""),
        directory_name="",
        index_has_directory_name=False,
        is_inbox=is_inbox,
    )


def to_path(text: str, home: bytes | None, base: bytes | None = None) -> bytes:
    """An absolute path, ``~`` resolved, without a final slash; relative ones start at ``base`` if there is one."""
    path = text.encode("utf-8", "surrogateescape")
    if path == b"~" or path.startswith(b"~/"):
        if not home:
            raise Unsupported("user has no home directory")
        path = home + path[1:]
    elif base is not None and path and path[:1] not in (b"/", b"~"):
        path = base if path == b"." else base + b"/" + path
    if not path.startswith(b"/") or b"\0" in path:
        raise Unsupported(f"path {text!r} is not absolute")
    return path.rstrip(b"/") or b"/"


def _complete(
    *,
    root: bytes,
    layout: str,
    inbox: bytes | None,
    index: bytes | None,
    control: bytes | None,
    utf8: bool,
    mailboxes: str,
    directory_name: str,
    index_has_directory_name: bool,
    is_inbox: bool,
) -> Location:
    if layout not in SEPARATORS:
        raise Unsupported(f"mailbox list layout is {layout}")
    if layout == MAILDIRPP and directory_name:
        raise Unsupported("mailbox directory name with Maildir++")
    if inbox is None and is_inbox and not directory_name:
        inbox = root
    return Location(
        root=root,
        layout=layout,
        inbox=inbox,
        index=None if index == root else index,
        control=None if control == root else control,
        utf8=utf8,
        mailboxes=mailboxes.encode("utf-8", "surrogateescape").strip(b"/"),
        directory_name=directory_name.encode("utf-8", "surrogateescape").rstrip(b"/"),
        index_has_directory_name=index_has_directory_name,
    )
