"""What the versions of Dovecot say differently about the same URL, as data.

The grammar and the order of checks are the same in every version; a few texts and two corners of
the host grammar changed with 2.4.0 (lib/uri-util.c, lib-imap-urlauth/imap-urlauth.c).
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen


@frozen
class URLRules:
    """How one generation of Dovecot reads and refuses URLs."""

    names_bad_byte: bool
    """An invalid byte of a path, query or fragment is named in the error text."""

    hides_control_bytes: bool
    """A byte named in an error text is shown as ``<0x..>`` unless it is printable ASCII."""

    strict_host_percent: bool
    """Percent encoding in a host name may only stand for a letter, a digit or a hyphen."""

    host_percent: str
    """The refusal of another encoded byte in a host name."""

    numeric_literal: bool
    """Square brackets may hold whatever getaddrinfo(3) takes for numeric: IPv4 and IPv6 zones too."""

    asks_userdb: bool
    """A URL's user that differs from the target user is looked up, and may be another spelling of it."""

    other_user: str
    """The refusal of a URL of another user; ``{user}`` stands for the URL's user."""

    anonymous_target: str
    """The refusal when the target user is anonymous; ``{user}`` as above, if it occurs."""

    def show_byte(self, byte: int) -> str:
        """The byte as an error text shows it."""
        if self.hides_control_bytes and not 0x20 <= byte < 0x7F:
            return f"<0x{byte:02x}>"
        return f"'{bytes((byte,)).decode('utf-8', 'surrogateescape')}'"


RULES_2_3 = URLRules(
    names_bad_byte=False,
    hides_control_bytes=False,
    strict_host_percent=False,
    host_percent="(null)",  # 2.3 prints an error text that it has forgotten to set
    numeric_literal=False,
    asks_userdb=False,
    other_user="Not permitted to fetch URLAUTH for user {user}",
    anonymous_target="Not permitted to fetch URLAUTH for user {user}",
)

RULES_2_4 = URLRules(
    names_bad_byte=True,
    hides_control_bytes=True,
    strict_host_percent=True,
    host_percent="Invalid percent encoding in hostname",
    numeric_literal=True,
    asks_userdb=True,
    other_user="Not permitted to fetch URLAUTH for other user {user}",
    anonymous_target="Anonymous logins not permitted to fetch URLAUTH",
)
