"""The room is pure and starts fast: what reading and checking a URL may load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Modules that cost more to import than a URL takes to check, or that reach outside.
UNWANTED = "socket _socket re enum typing dataclasses datetime hashlib _hashlib hmac urllib functools"

PROGRAM = """
import sys
before = set(sys.modules)
from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.url.check import Policy, check
from dovecot_urlauth.url.rules import RULES_2_4
from dovecot_urlauth.url.token import verify
url = b"imap://alice@h/INBOX/;UID=1;EXPIRE=2030-01-01T00:00:00Z;URLAUTH=user+bob:INTERNAL:" + b"01" * 21
policy = Policy("h", 143, b"alice")
verify(check(url, Accessor(b"bob", b"imap"), policy, RULES_2_4, 0, lambda user: False), None)
print(*(set(sys.modules) - before))
"""


def test_a_url_is_checked_without_expensive_modules() -> None:
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert "dovecot_urlauth.url.token" in loaded
    assert not set(loaded) & set(UNWANTED.split())
