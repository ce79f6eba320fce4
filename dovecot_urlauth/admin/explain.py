"""A URL field by field, in words.  The token opens a mail to whoever holds it, so it is not shown."""

from __future__ import annotations

import time
from collections.abc import Iterator

from dovecot_urlauth.url.imapurl import ImapURL, parse
from dovecot_urlauth.url.rules import RULES_2_4
from dovecot_urlauth.url.token import TOKEN_SIZE, VERSION

#: access application -> whether it names a user (None: no matter), and who may use the URL
ACCESS = {
    b"user": (True, "the user {user}, over IMAP"),
    b"submit": (True, "a submission server for the user {user}"),
    b"authuser": (None, "any user who is logged in, over IMAP"),
    b"anonymous": (None, "anybody, over IMAP"),
    b"stream": (False, "the user that imap_urlauth_stream_user names, over IMAP"),
}
UNKNOWN = (None, "nobody: no service knows this")


def explain(url: bytes, now: int) -> Iterator[tuple[str, str]]:
    """Names and values of the URL's parts; ``now`` is Unix time.  Raises InvalidURL."""
    parsed = parse(url, RULES_2_4)
    yield "user", _shown(parsed.user)
    if parsed.auth_type is not None:
        yield "auth type", _shown(parsed.auth_type)
    yield "host", _shown(parsed.host) + (f", port {parsed.port}" if parsed.port else "")
    yield "mailbox", _shown(parsed.mailbox)
    if parsed.uidvalidity:
        yield "uidvalidity", str(parsed.uidvalidity)
    if parsed.search is not None:
        yield "search", _shown(parsed.search)
    if parsed.uid:
        yield from _explain_message(parsed)
    if parsed.access_application is not None:
        yield from _explain_urlauth(parsed, now)


def _explain_message(url: ImapURL) -> Iterator[tuple[str, str]]:
    yield "uid", str(url.uid)
    yield "section", _shown(url.section) if url.section is not None else "the whole message"
    if url.has_partial:
        last = f"{url.partial_size} bytes" if url.partial_size else "to the end"
        yield "partial", f"from byte {url.partial_offset}, {last}"


def _explain_urlauth(url: ImapURL, now: int) -> Iterator[tuple[str, str]]:
    yield "expires", _expiry(url.expire, now)
    yield "access", _access(url)
    yield "rump", _shown(url.rump)
    yield "mechanism", _shown(url.mechanism)
    yield "token", _token(url.token)


def _expiry(expire: int | None, now: int) -> str:
    if expire is None:
        return "never"
    local = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(expire))
    return f"{local} ({'past' if now > expire else 'still to come'})"


def _access(url: ImapURL) -> str:
    application, user = url.access_application or b"", url.access_user
    identifier = application if user is None else application + b"+" + user
    names_user, who = ACCESS.get(application.lower(), UNKNOWN)
    if names_user not in (None, user is not None):
        who = f"nobody: it must {'' if names_user else 'not '}name a user"
    return f"{_shown(identifier)} ({who.format(user=_shown(user))})"


def _token(token: bytes | None) -> str:
    if token is None:
        return "none: the URL is not signed"
    if len(token) != TOKEN_SIZE or not token.startswith(VERSION):
        return "there, but not of Dovecot's kind"
    return "there (not shown)"


def _shown(value: bytes | None) -> str:
    """Text for a terminal: what is not printable is escaped."""
    if value is None:
        return "none"
    text = value.decode("utf-8", "surrogateescape")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
