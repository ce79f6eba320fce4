"""An IMAP URL and its parts (RFC 5092), with the URLAUTH extension (RFC 4467).

    imap://user;AUTH=type@host:port/mail/box;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.99
        ;EXPIRE=2030-01-01T00:00:00Z;URLAUTH=user+bob:INTERNAL:01c0ffee...

Only absolute URLs are read.  What is accepted, and the text and order of refusals, are those of
Dovecot (lib-imap/imap-url.c).  Keywords are compared without regard to case.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.url.path import Partial, parse_location
from dovecot_urlauth.url.uri import (
    USERINFO,
    InvalidURL,
    check_percent,
    decode,
    has_fragment,
    parse_authority,
    parse_path,
    parse_query,
    show,
    split_scheme,
)
from dovecot_urlauth.url.urlauth import NO_URLAUTH, parse_urlauth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.url.rules import URLRules
    from dovecot_urlauth.url.uri import Authority

AUTH_TYPE = b"AUTH="
ACHAR = USERINFO.translate(None, b":;")


@frozen
class ImapURL:
    """The parts of an IMAP URL, percent-decoded where the grammar says so; absent numbers are 0.

    ``expire`` is Unix time.  ``partial_size`` 0 with ``has_partial`` means to the end.  ``rump`` is
    the text that a token signs, byte for byte as it was received; ``token`` is binary.
    """

    user: bytes | None
    auth_type: bytes | None
    host: bytes
    port: int
    mailbox: bytes | None = None
    uidvalidity: int = 0
    uid: int = 0
    section: bytes | None = None
    has_partial: bool = False
    partial_offset: int = 0
    partial_size: int = 0
    search: bytes | None = None
    expire: int | None = None
    access_application: bytes | None = None
    access_user: bytes | None = None
    rump: bytes | None = None
    mechanism: bytes | None = None
    token: bytes | None = None


def parse(url: bytes, rules: URLRules) -> ImapURL:
    """Parse an absolute IMAP URL; raises :class:`InvalidURL` with Dovecot's text for the first error."""
    authority, start = _parse_server(url, rules)
    user, auth_type = _parse_userinfo(authority.userinfo, rules)
    segments, start = parse_path(url, start, rules)
    location = parse_location(segments)
    urlauth = NO_URLAUTH if location.extension is None else parse_urlauth(location.extension)
    search, start = parse_query(url, start, rules)
    if search is not None:
        _check_search(search, is_message_list=bool(segments) and not location.uid)
    if has_fragment(url, start, rules):
        raise InvalidURL("Fragment component not allowed in IMAP URL")
    partial = location.partial or Partial(0, 0)
    verifier = urlauth.verifier
    return ImapURL(
        user=user,
        auth_type=auth_type,
        host=authority.host,
        port=authority.port,
        mailbox=location.mailbox,
        uidvalidity=location.uidvalidity,
        uid=location.uid,
        section=location.section,
        has_partial=location.partial is not None,
        partial_offset=partial.offset,
        partial_size=partial.size,
        search=None if search is None else decode(search),
        expire=urlauth.expire,
        access_application=urlauth.application,
        access_user=urlauth.user,
        rump=None if urlauth.application is None else url[: len(url) - urlauth.unsigned],
        mechanism=verifier.mechanism if verifier else None,
        token=verifier.token if verifier else None,
    )


def _parse_server(url: bytes, rules: URLRules) -> tuple[Authority, int]:
    scheme, start = split_scheme(url)
    if scheme is not None and scheme.lower() != b"imap":
        raise InvalidURL("Not an IMAP URL")
    if not url.startswith(b"//", start) or len(url) == start + 2:
        if scheme is not None:
            raise InvalidURL("Absolute IMAP URL requires `//' after `imap:'")
        parse_path(url, start, rules)  # its errors come before the next
        raise InvalidURL("Relative URL not allowed")
    authority, start = parse_authority(url, start + 2, rules)
    if not authority.host:
        raise InvalidURL("IMAP URL does not allow empty host identifier")
    return authority, start


def _parse_userinfo(userinfo: bytes | None, rules: URLRules) -> tuple[bytes | None, bytes | None]:
    """Split ``user;AUTH=type``, both percent-encoded; the parts that are not there are None."""
    if not userinfo:
        return None, None
    user, semicolon, rest = userinfo.partition(b";")
    if b":" in user:
        raise InvalidURL(f"Stray ':' in userinfo `{show(userinfo)}'")
    auth_type = rest[len(AUTH_TYPE) :]
    if semicolon:
        if rest[: len(AUTH_TYPE)].upper() != AUTH_TYPE:
            raise InvalidURL(f"Stray ';' in userinfo `{show(userinfo)}'")
        stray = auth_type.lstrip(ACHAR)[:1]
        if stray:
            raise InvalidURL(f"Stray '{show(stray)}' in userinfo `{show(userinfo)}'")
    check_percent(userinfo, 0, len(user), rules)
    if semicolon and not auth_type:
        raise InvalidURL("Empty auth-type value after ';AUTH='")
    check_percent(userinfo, len(userinfo) - len(auth_type), len(userinfo), rules)
    return decode(user) or None, decode(auth_type) or None


def _check_search(search: bytes, *, is_message_list: bool) -> None:
    if not is_message_list:
        raise InvalidURL("Search query part only valid for messagelist-type IMAP URL")
    if not search:
        raise InvalidURL("Empty IMAP URL search query not allowed")
