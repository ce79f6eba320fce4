"""What stats is told of one client's session with one user's mail.

Dovecot's own worker has events of the session, the key's dictionary and each mail that it opens.  They have its
names and fields, but for what would have to be looked up for nothing else: a key's path, a mail's number and age,
what the session took of the machine.  ``urlauth_fetch_finished`` is ours: one for each URL, and never its token.
"""

from __future__ import annotations

import os
from time import time

from dovecot_urlauth.message.errors import InvalidSection
from dovecot_urlauth.message.section import Text, parse_section
from dovecot_urlauth.worker.client import readable_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.stats import Stats
    from dovecot_urlauth.url.imapurl import ImapURL
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.wire.fetch import UrlCommand
    from dovecot_urlauth.worker.target import OpenedTarget
    from dovecot_urlauth.worker.urlfetch import Reply

SERVICE = "imap-urlauth-worker"
FETCH_FINISHED = "urlauth_fetch_finished"
MAIL_OPENED = "mail_opened"
SESSION_FINISHED = "mail_user_session_finished"
DICT_CREATED, DICT_LOOKUP, DICT_DESTROYED = "dict_created", "dict_lookup_finished", "dict_destroyed"

KINDS = {
    Text.WHOLE: "message",
    Text.PART: "part",
    Text.MIME: "mime",
    Text.TEXT: "text",
    Text.HEADER: "header",
    Text.FIELDS: "fields",
    Text.FIELDS_NOT: "fields",
}
"""``section_kind``: what of a message was asked for."""


class SessionEvents:
    """Tells stats of a session, from its first URL to its end."""

    def __init__(self, stats: Stats, access: Access, target: OpenedTarget) -> None:
        self._stats = stats
        self._access = access
        self._target = target
        self._created = time()
        self._dict_created: float | None = None

    @property
    def wants_fetches(self) -> bool:
        """Whether to find out what became of each URL."""
        return self._stats.wants(FETCH_FINISHED)

    def looked_up_key(self, began: float, *, found: bool) -> None:
        """A mailbox's key was asked for."""
        if self._dict_created is None:
            self._dict_created = began
            self._tell_of_dict(DICT_CREATED, began)
        self._tell_of_dict(DICT_LOOKUP, began, {} if found else {"key_not_found": "yes"})

    def opened_mail(self, url: ImapURL, began: float) -> None:
        """A part of a mail is about to be sent."""
        if not self._stats.wants(MAIL_OPENED):
            return
        names = self._stats.names
        fields = self._of_session()
        fields.update(reason=names.mail_reasons[bool(url.section)], mailbox=os.fsdecode(url.mailbox or b""))
        if names.has_namespace:
            fields["namespace"] = ""
        fields["uid"] = url.uid
        self._stats.report(MAIL_OPENED, ("storage", "mailbox", "mail"), fields, began)

    def fetched(
        self, command: UrlCommand, url: ImapURL | None, outcome: str, reply: Reply | None, began: float
    ) -> None:
        """A URL is done with; ``url`` is None if it cannot be read, ``reply`` if the answer broke off."""
        if not self._stats.wants(FETCH_FINISHED):
            return
        refused = reply is not None and bool(reply.refusal)
        fields: dict[str, str | int] = {
            "outcome": outcome,
            "rule": reply.rule if refused and reply is not None else "",
            "user": readable_user(self._access),
            "protocol": os.fsdecode(self._access.service),
            "target_user": os.fsdecode(self._target.name),
            "fetch": "binary" if command.binary else "body" if command.body else "structure",
            "bytes": 0 if reply is None or refused else reply.size,
        }
        if url is not None:
            fields.update(mailbox=os.fsdecode(url.mailbox or b""), uid=url.uid, section_kind=_kind(url))
        if refused and reply is not None:
            fields["error"] = reply.refusal
        self._stats.report(FETCH_FINISHED, ("imap-urlauth",), fields, began)

    def ended(self) -> None:
        """The session is over."""
        if self._dict_created is not None:
            self._tell_of_dict(DICT_DESTROYED, self._dict_created)
            self._dict_created = None
        if self._target.store is not None:
            self._stats.report(SESSION_FINISHED, ("storage",), self._of_session(), self._created)

    def _of_session(self) -> dict[str, str | int]:
        return {"user": os.fsdecode(self._target.name), "service": SERVICE}

    def _tell_of_dict(self, name: str, began: float, more: dict[str, str] | None = None) -> None:
        if not self._stats.wants(name):
            return
        names = self._stats.names
        driver, _, _ = self._target.settings.get(names.dict_setting).partition(":")
        fields = self._of_session() | dict.fromkeys(names.dict_fields, driver) | (more or {})
        self._stats.report(name, ("storage", "dict"), fields, began)


def _kind(url: ImapURL) -> str:
    try:
        return KINDS[parse_section(url.section or b"").text]
    except InvalidSection:
        return ""
