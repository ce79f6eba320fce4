"""Who may use a URL: the access identifier against the one who asks (RFC 4467, section 3).

The rules are those of Dovecot 2.4.3 and later in every version (lib-imap-urlauth/imap-urlauth.c):
``user+bob`` is for bob and nobody else, and an application's name is compared whole.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.url.uri import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.url.imapurl import ImapURL


class AccessDenied(Exception):
    """The access identifier does not allow this accessor; ``text`` is Dovecot's reason."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@frozen
class Accessor:
    """The one who asks, as the ACCESS command introduced him.

    ``user`` is None for an anonymous login.  ``applications`` are the special identifiers that he
    may use: ``stream``, or ``submit+`` where the plus says that the URL must name a user.
    """

    user: bytes | None
    service: bytes
    applications: tuple[bytes, ...] = ()


def check_access(url: ImapURL, accessor: Accessor) -> None:
    """Raise :class:`AccessDenied` unless the URL's access identifier allows this accessor."""
    if url.access_application is None:
        raise AccessDenied("URL is missing URLAUTH")
    allows = SERVICES.get(accessor.service)
    if allows is None or not allows(url, url.access_application.lower(), accessor):
        who = "anonymous user" if accessor.user is None else f"user {show(accessor.user)}"
        raise AccessDenied(f"No '{_identifier(url)}' access allowed for {who}")


def _identifier(url: ImapURL) -> str:
    application = show(url.access_application or b"")
    return application if url.access_user is None else f"{application}+{show(url.access_user)}"


def _is_accessor(user: bytes | None, accessor: Accessor) -> bool:
    return user is not None and accessor.user is not None and user.lower() == accessor.user.lower()


def _imap_allows(url: ImapURL, application: bytes, accessor: Accessor) -> bool:
    if application == b"user":
        if url.access_user is None:
            raise AccessDenied("URLAUTH `user' access is missing userid")
        return _is_accessor(url.access_user, accessor)
    if application == b"authuser":
        return accessor.user is not None
    if application == b"anonymous":
        return True
    return _special_allows(url, application, accessor)


def _special_allows(url: ImapURL, application: bytes, accessor: Accessor) -> bool:
    for entry in accessor.applications:
        if entry.removesuffix(b"+").lower() == application:
            if entry.endswith(b"+"):
                return url.access_user is not None and accessor.user is not None
            return url.access_user is None
    return False


def _submission_allows(url: ImapURL, application: bytes, accessor: Accessor) -> bool:
    if application != b"submit":
        raise AccessDenied(f"No '{_identifier(url)}' access allowed for submission service")
    if url.access_user is None:
        raise AccessDenied("URLAUTH `submit' access is missing userid")
    return _is_accessor(url.access_user, accessor)


SERVICES = {
    b"imap": _imap_allows,
    b"submission": _submission_allows,
}
