"""How mbox files are to be read: the settings ``mbox_*`` of both languages.

index/mbox/mbox-settings.c and mbox-lock.c; times as lib/str-parse.c reads them.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.settings import Settings

SETTINGS = ("mbox_read_locks", "mbox_lock_timeout", "mail_max_lock_timeout", "mbox_min_index_size")
"""Where the rules come from."""

LOCKS = ("fcntl", "flock")
"""What a reader can have.  lockf is a lock for writing, and a dotlock is a file that is written."""

UNITS = {
    "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400, "w": 604800,
    "week": 604800,
}  # fmt: skip
"""Seconds; a name may have an s behind it."""
DEFAULT_SECONDS = 300
LONGEST = 7 * 86400


@frozen
class MboxRules:
    """What a reader of mbox files goes by."""

    read_locks: tuple[str, ...] = ("fcntl",)
    """Which locks are taken, in this order: some of :data:`LOCKS`.

    fcntl, the default, is always among them: 2.4 adds to it what stands in braces, and one lock more does no harm.
    """
    lock_seconds: int = DEFAULT_SECONDS
    """How long they are waited for."""
    colonless_line_is_name: bool = False
    """As Dovecot 2.3.13 reads headers."""


def mbox_rules(settings: Settings, *, colonless_line_is_name: bool) -> MboxRules:
    """The rules that ``settings`` make.

    Raises SettingsError, and UnsupportedSetting for what only somebody who may write can do: then it is Dovecot's
    own imap that needs the rights to do it, mail_privileged_group for one.
    """
    locks = settings.get("mbox_read_locks", "fcntl").replace(",", " ").lower().split()
    others = [lock for lock in locks if lock not in LOCKS]
    if others:
        raise UnsupportedSetting(f"mbox_read_locks has {others[0]}")
    if settings.get("mbox_min_index_size", "0").strip("0 bB"):
        raise UnsupportedSetting("mbox_min_index_size is set")  # smaller files have no index on disk
    seconds = read_time(settings.get("mbox_lock_timeout"), DEFAULT_SECONDS)
    at_most = read_time(settings.get("mail_max_lock_timeout"), 0)
    return MboxRules(
        read_locks=tuple(dict.fromkeys(("fcntl", *locks) if locks else ())),
        lock_seconds=min(seconds, at_most) if at_most else seconds,
        colonless_line_is_name=colonless_line_is_name,
    )


def read_time(text: str, default: int) -> int:
    """Seconds of ``5 mins`` and the like, ``default`` of nothing.  Raises SettingsError."""
    if not text:
        return default
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(number) :].strip().lower()
    seconds = UNITS.get(unit) or UNITS.get(unit.removesuffix("s"))
    if not (number.isascii() and number.isdigit() and len(number) < 10 and (seconds or number == "0")):
        raise SettingsError(f"Invalid time interval: {text}")
    return min(int(number) * (seconds or 1), LONGEST)
