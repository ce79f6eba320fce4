"""Whether a URL may be served at all, before any mailbox is opened (lib-imap-urlauth/imap-urlauth.c).

Ten checks in Dovecot's order; what they refuse lies in the caller's own words, so the reason may be told to him.
The section's syntax, the mailbox and the token are looked at later, by those who can.  Host names are compared
without regard to case, as RFC 3986 has it (6.2.2.1) and Dovecot does not.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.url.access import AccessDenied, check_access
from dovecot_urlauth.url.imapurl import parse
from dovecot_urlauth.url.uri import InvalidURL, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.url.access import Accessor
    from dovecot_urlauth.url.imapurl import ImapURL
    from dovecot_urlauth.url.rules import URLRules

MECHANISM = b"internal"
ANY_HOST = "*"
IMAP_PORT = 143


class Rule(Enum):
    """Which of the checks refuses."""

    SYNTAX = "syntax"
    MECHANISM = "mechanism"
    EXPIRED = "expired"
    ACCESS = "access"
    SERVER = "server"
    USER = "user"


class URLRefused(Exception):
    """The URL may not be served; ``text`` follows ``Failed to fetch URLAUTH "<url>": `` in the answer."""

    def __init__(self, text: str, rule: Rule = Rule.SYNTAX) -> None:
        super().__init__(text)
        self.text = text
        self.rule = rule


@frozen
class Policy:
    """What this server answers for: ``imap_urlauth_host``, ``imap_urlauth_port`` and the target user."""

    host: str
    port: int
    target: bytes
    target_is_anonymous: bool = False


def check(
    url: bytes,
    accessor: Accessor,
    policy: Policy,
    rules: URLRules,
    now: int,
    same_user: Callable[[bytes], bool],
) -> ImapURL:
    """Parse the URL and check everything but section, mailbox and token; ``now`` is Unix time.

    ``same_user`` tells whether another spelling of a user's name means the target user; it is only
    asked when the version at hand would ask its userdb.  Raises :class:`URLRefused`.
    """
    try:
        parsed = parse(url, rules)
    except InvalidURL as error:
        raise URLRefused(f"Invalid URLAUTH: {error.text}") from error
    _check_complete(parsed)
    _check_expiry(parsed, now)
    try:
        check_access(parsed, accessor)
    except AccessDenied as error:
        raise URLRefused(error.text, Rule.ACCESS) from error
    _check_server(parsed, policy)
    _check_user(parsed, policy, rules, same_user)
    return parsed


def _check_complete(url: ImapURL) -> None:
    if None in (url.mailbox, url.rump) or url.mechanism is None or url.search is not None or not url.uid:
        raise URLRefused("Invalid URL: Must be a full URLAUTH URL")
    if url.user is None:
        raise URLRefused("Invalid URLAUTH: Missing user name")
    if url.mechanism.lower() != MECHANISM:
        raise URLRefused(f"Unsupported URLAUTH mechanism: {show(url.mechanism)}", Rule.MECHANISM)


def _check_expiry(url: ImapURL, now: int) -> None:
    if url.expire is not None and now > url.expire:
        raise URLRefused("URLAUTH has expired", Rule.EXPIRED)


def _check_server(url: ImapURL, policy: Policy) -> None:
    if policy.host != ANY_HOST and policy.host.lower() != show(url.host).lower():
        raise URLRefused("Invalid URL: Inappropriate host name", Rule.SERVER)
    if (url.port or IMAP_PORT) != policy.port:
        raise URLRefused("Invalid URL: Inappropriate server port", Rule.SERVER)


def _check_user(url: ImapURL, policy: Policy, rules: URLRules, same_user: Callable[[bytes], bool]) -> None:
    user = url.user or b""
    if policy.target_is_anonymous:
        raise URLRefused(rules.anonymous_target.format(user=show(user)), Rule.USER)
    if user != policy.target and not (rules.asks_userdb and same_user(user)):
        raise URLRefused(rules.other_user.format(user=show(user)), Rule.USER)
