"""A URL as people give it, pasted with blanks or brackets or cut by a shell; and as it may be shown."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.url.imapurl import parse
from dovecot_urlauth.url.rules import RULES_2_4
from dovecot_urlauth.url.token import TOKEN_SIZE

if TYPE_CHECKING:
    from dovecot_urlauth.url.imapurl import ImapURL

CUT_OFF = "cut off? quote the URL, or use - and standard input"

TOKEN = re.compile(r"(;URLAUTH=[^:\s]*:[^:\s]*:)[^\s\"'>]+", re.IGNORECASE)


def asked_for(word: str) -> str:
    """The URL of the command line; ``-`` reads it from standard input, so that it is in no list of processes.

    Without the blanks and the ``<`` ``>`` that URLs stand between in mail and on web pages (RFC 3986, C). Raises
    LiveFailure where there is none.
    """
    text = (sys.stdin.readline() if word == "-" else word).strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].strip()
    if not text:
        raise LiveFailure("url", "is empty", CUT_OFF)
    return text


def read_url(text: str) -> ImapURL:
    """Its parts. Raises InvalidURL."""
    return parse(os.fsencode(text), RULES_2_4)


def lacks(url: ImapURL) -> str:
    """What a URL lacks that was cut off; empty if it is whole."""
    if url.access_application is None or url.token is None:
        return f"it is not signed ({CUT_OFF})"
    if len(url.token) != TOKEN_SIZE:
        return f"its token has {2 * len(url.token)} digits, not {2 * TOKEN_SIZE} ({CUT_OFF})"
    return ""


def without_tokens(text: str) -> str:
    """Any text with URLs in it: whoever has a token may use its URL."""
    return TOKEN.sub(r"\1...", text)
