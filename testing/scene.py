"""The people of one scenario, the mail they store and the URLs they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testing.instance import HOST, DovecotInstance
from testing.smtpclient import SubmissionClient

if TYPE_CHECKING:
    from testing.imapclient import ImapClient

#: A message with everything that a URL can name; its parts are 1 (text), 2 (base64), 3 (message), 3.1, 3.2.
MESSAGE = b"""\
From: Alice <alice@example.test>\r
To: Bob <bob@example.test>\r
Subject: everything that a URL can name\r
Date: Mon, 02 Mar 2026 10:00:00 +0000\r
Message-ID: <1@example.test>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="outer"\r
\r
a preamble\r
--outer\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
gr=C3=BC=C3=9Fe\r
two lines=\r
 in one\r
--outer\r
Content-Type: application/octet-stream; name="zeros"\r
Content-Transfer-Encoding: base64\r
Content-Disposition: attachment; filename="zeros"\r
\r
AAECA/8AAA==\r
--outer\r
Content-Type: message/rfc822\r
\r
From: Carol <carol@example.test>\r
Subject: within\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary="inner"\r
\r
--inner\r
Content-Type: text/plain\r
\r
plain\r
--inner\r
Content-Type: text/html\r
\r
<p>html</p>\r
--inner--\r
--outer--\r
an epilogue\r
"""

#: section -> what BODY[section] of MESSAGE is
SECTIONS = {
    "": MESSAGE,
    "HEADER": MESSAGE[: MESSAGE.index(b"a preamble")],
    "TEXT": MESSAGE[MESSAGE.index(b"a preamble") :],
    "HEADER.FIELDS (SUBJECT)": b"Subject: everything that a URL can name\r\n\r\n",
    "HEADER.FIELDS (subject FROM)": (
        b"From: Alice <alice@example.test>\r\nSubject: everything that a URL can name\r\n\r\n"
    ),
    "HEADER.FIELDS.NOT (FROM TO DATE MESSAGE-ID MIME-VERSION CONTENT-TYPE)": (
        b"Subject: everything that a URL can name\r\n\r\n"
    ),
    "1": b"gr=C3=BC=C3=9Fe\r\ntwo lines=\r\n in one",
    "1.MIME": (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
    "2": b"AAECA/8AAA==",
    "3.HEADER": MESSAGE[MESSAGE.index(b"From: Carol") : MESSAGE.index(b"--inner\r\n")],
    "3.TEXT": MESSAGE[MESSAGE.index(b"--inner\r\n") : MESSAGE.index(b"--outer--")],
    "3.HEADER.FIELDS (SUBJECT)": b"Subject: within\r\n\r\n",
    "3.1": b"plain",
    "3.2": b"<p>html</p>",
    "3.2.MIME": b"Content-Type: text/html\r\n\r\n",
}

#: section -> what BINARY[section] of MESSAGE is
DECODED = {
    "1": "grüße\r\ntwo lines in one".encode(),
    "2": b"\x00\x01\x02\x03\xff\x00\x00",
    "3.1": b"plain",
}


@dataclass(frozen=True)
class Stored:
    """One message in one mailbox of one user."""

    owner: str
    mailbox: str
    uidvalidity: int
    uid: int

    def rump(
        self,
        access: str | None = "user+bob",
        section: str = "",
        partial: str = "",
        expire: str = "",
        host: str = HOST,
        uidvalidity: int | None = None,
        mailbox: str | None = None,
    ) -> str:
        """The URL (RFC 5092) of the message or a part of it, without the token."""
        parts = [f"imap://{self.owner}@{host}/{mailbox or self.mailbox}"]
        parts.append(f";UIDVALIDITY={uidvalidity or self.uidvalidity}/;UID={self.uid}")
        parts.append(f"/;SECTION={section.replace(' ', '%20')}" if section else "")
        parts.append(f"/;PARTIAL={partial}" if partial else "")
        parts.append(f";EXPIRE={expire}" if expire else "")
        parts.append(f";URLAUTH={access}" if access else "")
        return "".join(parts)


class Scene:
    """One scenario against one running Dovecot; its connections close with it."""

    def __init__(self, dovecot: DovecotInstance, patience: float = 15.0) -> None:
        """``patience`` is the seconds that an answer of imap may take."""
        self.dovecot = dovecot
        self._patience = patience
        self.expected: list[str] = []
        self._users: dict[str, ImapClient] = {}
        self._open: list[ImapClient | SubmissionClient] = []

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for connection in self._open:
            connection.close()

    def expect_log(self, *patterns: str) -> None:
        """Alarming log lines that match one of `patterns` are what this scenario is about."""
        self.expected.extend(patterns)

    # -- people

    def user(self, name: str) -> ImapClient:
        """The user's connection to imap, one per scenario."""
        if name not in self._users:
            self._users[name] = self.session(name)
        return self._users[name]

    def session(self, name: str) -> ImapClient:
        """Another connection of this user."""
        client = self.dovecot.imap(name, self._patience)
        self._open.append(client)
        return client

    def anonymous(self) -> ImapClient:
        client = self.dovecot.imap()
        self._open.append(client)
        return client.authenticate_anonymous()

    def submission(self, name: str) -> SubmissionClient:
        client = SubmissionClient(self.dovecot.submission_port, name)
        self._open.append(client)
        return client

    # -- mail and URLs

    def store(self, message: bytes = MESSAGE, mailbox: str = "INBOX", owner: str = "alice") -> Stored:
        uidvalidity, uid = self.user(owner).append(mailbox, message)
        return Stored(owner, mailbox, uidvalidity, uid)

    def create(self, mailbox: str, owner: str = "alice") -> None:
        reply = self.user(owner).command(f'CREATE "{mailbox}"'.encode())
        assert reply.ok, reply

    def sign(self, stored: Stored, access: str = "user+bob", **parts: Any) -> bytes:
        """A URL of `stored` for `access`, signed by its owner's imap."""
        [url] = self.user(stored.owner).genurlauth(stored.rump(access, **parts))
        return url

    def works(self, stored: Stored, name: str = "bob") -> None:
        """Assert that this user's session still fetches a good URL of `stored`."""
        assert self.user(name).fetch_url(self.sign(stored, f"user+{name}")) == MESSAGE
