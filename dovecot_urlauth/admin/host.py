"""What may stand in imap_urlauth_host: the name of a host, as URLs have it."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?", re.ASCII)


def host_fault(text: str) -> str:
    """Why ``text`` is no host; "" if it is one."""
    if "/" in text or ":" in text:
        return "no scheme, port or path may stand in it"
    if not NAME.fullmatch(text):
        return "it is made of letters, digits, dots and hyphens"
    return ""
