"""How mbox files are to be read: the settings ``mbox_*`` of both languages.

index/mbox/mbox-settings.c and mbox-lock.c; times as lib/str-parse.c reads them.
"""

from __future__ import annotations

from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.settings import Settings

SETTINGS = ("mbox_read_locks", "mbox_lock_timeout", "mail_max_lock_timeout", "mbox_min_index_size")
"""Where the rules come from."""

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
    """Which locks are taken, in this order."""
    lock_seconds: int = DEFAULT_SECONDS
    """How long they are waited for."""
    keeps_index: bool = True
    """Whether every mailbox has its index on disk, however small it is (mbox_min_index_size)."""
    colonless_line_is_name: bool = False
    """As Dovecot 2.3.13 reads headers."""


def mbox_rules(settings: Settings, *, colonless_line_is_name: bool) -> MboxRules:
    """The rules that ``settings`` make.  Raises SettingsError."""
    locks = settings.get("mbox_read_locks", "fcntl").replace(",", " ").lower().split()
    seconds = read_time(settings.get("mbox_lock_timeout"), DEFAULT_SECONDS)
    at_most = read_time(settings.get("mail_max_lock_timeout"), 0)
    size = settings.get("mbox_min_index_size", "0").strip()
    return MboxRules(
        read_locks=tuple(locks),
        lock_seconds=min(seconds, at_most) if at_most else seconds,
        keeps_index=not size.strip("0 bB"),
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
