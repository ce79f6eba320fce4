"""``dovecot-urlauth test``: one message goes the whole way, and whatever should be refused is asked for, too."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.findings import Finding, fail, note, ok
from dovecot_urlauth.admin.live.account import all_users, find_account
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.fetch import Fetched, Refused
from dovecot_urlauth.admin.live.giventext import without_tokens
from dovecot_urlauth.admin.live.ownimap import mailbox_word
from dovecot_urlauth.admin.live.testbox import own_mailbox, remove_old
from dovecot_urlauth.admin.live.urls import access, rump, section

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dovecot_urlauth.admin.live.dovecot import LiveDovecot
    from dovecot_urlauth.admin.live.ownimap import OwnImap

PICTURE = bytes(range(256))
MESSAGE = b"""\
From: dovecot-urlauth test <postmaster@localhost>\r
Subject: a test of URLAUTH; it goes away by itself\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="next"\r
\r
--next\r
Content-Type: text/plain\r
\r
This message was made by 'dovecot-urlauth test'.\r
--next\r
Content-Type: application/octet-stream\r
Content-Transfer-Encoding: base64\r
\r
%s\r
--next--\r
""" % base64.encodebytes(PICTURE).strip().replace(b"\n", b"\r\n")


@dataclass(frozen=True)
class People:
    """Whose mail it is, who may fetch it, and who may not; the last is None where nobody else is known."""

    owner: str
    reader: str
    stranger: str | None


def choose_people(dovecot: LiveDovecot, owner: str | None, reader: str | None) -> People:
    """Take those who are named, and for the rest whom the userdb lists. Raises LiveFailure."""
    anonymous = dovecot.configuration.everything.get("auth_anonymous_username", "anonymous")
    unfit = (owner, reader, anonymous)  # anonymous has rights of its own
    others = [name for name in all_users(dovecot.file) if name not in unfit]
    if owner is None:
        owner = next((name for name in others if not dovecot.elsewhere(name)), None)
        if owner is None and others:
            raise LiveFailure("userdb", "lists nobody whose mail is here", "run this on a backend")
    rest = iter([name for name in others if name != owner])
    reader = reader or next(rest, None)
    if owner is None or reader is None:
        raise LiveFailure("userdb", "cannot list users", "name two: test --user OWNER --as READER")
    for name in (owner, reader):
        find_account(name, dovecot.file)
    return People(owner, reader, next(rest, None))


def run_trial(dovecot: LiveDovecot, people: People) -> Generator[Finding, None, None]:
    """Make a message, sign URLs of it, fetch them, and remove it; what is found, as it is found.

    Whoever takes it up closes it: only then is the mailbox gone.
    """
    try:
        server = dovecot.server
        with dovecot.imap(people.owner) as imap:
            for old in remove_old(imap, people.owner):
                yield note(f"removed {old} of {people.owner}, which a test that was killed had left")
            with own_mailbox(dovecot, imap, people.owner) as name:
                mailbox = mailbox_word(name)
                uidvalidity, uid = imap.append(mailbox, MESSAGE)
                yield ok(f"{people.owner} stored a message of {len(MESSAGE)} bytes")
                whole = rump(people.owner, server, name, uidvalidity, uid)
                yield from _fetch_all(dovecot, people, imap, whole)
                url = imap.sign(f"{whole}{access(people.reader)}")
                imap.expect("reset a key", b"RESETKEY", mailbox)
                yield _refused(dovecot, people.owner, people.reader, url, "a URL whose key was reset")
    except LiveFailure as failure:
        for text in (str(failure), *getattr(failure, "__notes__", ())):
            yield fail(text)


def _fetch_all(dovecot: LiveDovecot, people: People, imap: OwnImap, whole: str) -> Iterator[Finding]:
    url = imap.sign(f"{whole}{access(people.reader)}")
    part = imap.sign(f"{whole}{section('2')}{access(people.reader)}")
    yield ok(f"{people.owner} signed URLs of it for {people.reader}")
    yield _compare(dovecot, people, url, MESSAGE, "the whole message")
    yield _compare(dovecot, people, part, PICTURE, "one part, decoded", decoded=True)
    if people.stranger is None:
        yield note("no third user is known: whether strangers are refused was not tried")
    else:
        yield _refused(dovecot, people.owner, people.stranger, url, f"{people.stranger}, whom it is not for,")
    yield _refused(dovecot, people.owner, people.reader, _spoiled(url), "a URL with a wrong token")
    if dovecot.serves_submission:
        submit = imap.sign(f"{whole}{access(people.reader, 'submit')}")
        yield _compare(dovecot, people, submit, MESSAGE, "what BURL fetches", service="submission")


def _compare(
    dovecot: LiveDovecot,
    people: People,
    url: str,
    expected: bytes,
    what: str,
    *,
    decoded: bool = False,
    service: str = "imap",
) -> Finding:
    with dovecot.urlauth(people.reader, service) as session:
        session.select(people.owner)
        answer = session.fetch(url, decoded=decoded)
        if isinstance(answer, Refused):
            return fail(f"imap-urlauth-worker refuses {what}: {without_tokens(answer.text) or 'no reason given'}")
        data = b"".join(answer.pieces)
    if data != expected:
        return fail(f"{what} came with other bytes than were stored ({len(data)} for {len(expected)})")
    return ok(f"{people.reader} fetched {what}: {len(data)} bytes, the right ones")


def _refused(dovecot: LiveDovecot, owner: str, reader: str, url: str, what: str) -> Finding:
    with dovecot.urlauth(reader) as session:
        session.select(owner)
        answer = session.fetch(url)
        if isinstance(answer, Fetched):
            for _ in answer.pieces:
                continue
            return fail(f"{what} was served: this must never be")
    return ok(f"{what} was refused")


def _spoiled(url: str) -> str:
    """The URL with another last digit."""
    return url[:-1] + ("0" if url[-1] != "0" else "1")
