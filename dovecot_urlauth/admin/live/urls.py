"""Making URLs (RFC 5092, RFC 4467) for people who name a user, a mailbox and a message."""

from __future__ import annotations

import re
import time
from urllib.parse import quote

from dovecot_urlauth.admin.usage import WrongUsage

UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
DURATION = re.compile(r"(\d{1,6})([mhdw])\Z")

USER_SAFE = "!$'()*+,&="
MAILBOX_SAFE = "!$'()*+,&=:@/"
"""Characters that stand for themselves in a user's name and in a mailbox's (RFC 5092, ``bchar``)."""


def rump(owner: str, server: str, mailbox: str, uidvalidity: int, uid: int) -> str:
    """The URL of a whole message, without what URLAUTH adds."""
    return (
        f"imap://{quote(owner, safe=USER_SAFE)}@{server}/{quote(mailbox, safe=MAILBOX_SAFE)}"
        f";UIDVALIDITY={uidvalidity}/;UID={uid}"
    )


def section(part: str | None) -> str:
    """``/;SECTION=`` of a part such as ``1.2``; nothing for the whole message."""
    return f"/;SECTION={quote(part, safe=MAILBOX_SAFE)}" if part else ""


def access(reader: str | None, application: str = "user") -> str:
    """``URLAUTH=`` for one user, or for anybody."""
    return ";URLAUTH=anonymous" if reader is None else f";URLAUTH={application}+{quote(reader, safe=USER_SAFE)}"


def expiry(duration: str | None, now: float) -> str:
    """``;EXPIRE=`` so long after ``now`` (Unix time): ``90m``, ``12h``, ``7d``, ``2w``. Raises WrongUsage."""
    if duration is None:
        return ""
    found = DURATION.match(duration)
    if found is None or not int(found[1]):
        raise WrongUsage(f"--expire={duration}: not a duration (90m, 12h, 7d, 2w)")
    end = time.gmtime(now + int(found[1]) * UNITS[found[2]])
    return f";EXPIRE={time.strftime('%Y-%m-%dT%H:%M:%SZ', end)}"
