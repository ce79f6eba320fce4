"""The words of the commands that ask the running Dovecot: test, share, fetch, revoke, keys."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.findings import Level
from dovecot_urlauth.admin.interruption import interruptible
from dovecot_urlauth.admin.live.account import find_account
from dovecot_urlauth.admin.live.dovecot import LiveDovecot
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.fetch import PATIENCE
from dovecot_urlauth.admin.live.giventext import asked_for
from dovecot_urlauth.admin.live.sharing import Share, fetch, keys, reader_of, revoke, share
from dovecot_urlauth.admin.live.trial import choose_people, run_trial
from dovecot_urlauth.admin.live.verdict import judge
from dovecot_urlauth.admin.usage import seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator

    from dovecot_urlauth.admin.findings import Finding


MAILBOX = "its name as mail clients show it, such as INBOX or Sent"
UID = "the message's UID: doveadm fetch -u USER 'uid hdr.subject' mailbox MAILBOX"


def add_live_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to the command line; each sets ``run``, which returns the exit status."""
    test = _add(commands, "test", _run_test, "send a message the whole way, or say what becomes of a URL")
    test.add_argument("url", nargs="?", metavar="URL", help="a signed URL, - to read it from standard input")
    test.add_argument("--user", metavar="OWNER", help="whose mail; the first user that the userdb lists")
    test.add_argument("--as", dest="reader", metavar="READER", help="who fetches it; the next one")
    test.add_argument(
        "--timeout", type=seconds, default=PATIENCE, metavar="SECONDS", help=f"for each step; {PATIENCE:g}"
    )

    sharing = _add(commands, "share", _run_share, "print a URL by which another user may fetch one message")
    sharing.add_argument("user", help="whose message it is")
    sharing.add_argument("mailbox", help=MAILBOX)
    sharing.add_argument("uid", type=int, help=UID)
    sharing.add_argument("--part", metavar="N", help="one MIME part only, as 2 or 1.2; in Dovecot's order")
    whom = sharing.add_mutually_exclusive_group(required=True)
    whom.add_argument("--for", dest="reader", metavar="USER", help="who may fetch it")
    whom.add_argument("--anyone", action="store_true", help="anybody may fetch it who has the URL")
    sharing.add_argument("--expire", metavar="TIME", help="90m, 12h, 7d, 2w; without it, until the key is reset")

    fetching = _add(commands, "fetch", _run_fetch, "write what a URL names to standard output")
    fetching.add_argument("url", metavar="URL", help="a signed URL, - to read it from standard input")
    fetching.add_argument("--as", dest="reader", metavar="USER", help="in whose name; whom the URL is for")
    fetching.add_argument("--decode", action="store_true", help="undo the transfer encoding, as BINARY does")

    revoking = _add(commands, "revoke", _run_revoke, "make all URLs of a mailbox worthless (RESETKEY)")
    revoking.add_argument("user", help="whose mailbox it is")
    revoking.add_argument("mailbox", help=MAILBOX)

    listing = _add(commands, "keys", _run_keys, "list the mailboxes of a user that have a key")
    listing.add_argument("user", help="whose mailboxes")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=what, description=what)
    command.add_argument(
        "-c", dest="file", metavar="FILE", help="the configuration file, instead of doveconf's own"
    )
    command.set_defaults(run=run)
    return command


def _run_test(given: argparse.Namespace) -> int:
    dovecot = LiveDovecot.find(given.file, given.timeout)
    if given.url is not None:
        verdict = judge(dovecot, asked_for(given.url), given.reader)
        return _report(verdict, "This URL is honoured.", "This URL is not honoured.")
    with interruptible():
        people = choose_people(dovecot, given.user, given.reader)
        return _report(run_trial(dovecot, people), "URLAUTH works.", "URLAUTH does not work as it should.")


def _report(findings: Generator[Finding, None, None], good: str, bad: str) -> int:
    failed = False
    with closing(findings):  # what a trial has made goes away here, if it is not read to its end
        for finding in findings:
            print(finding, flush=True)
            failed = failed or finding.level is Level.FAIL
    print(bad if failed else good)
    return int(failed)


def _run_share(given: argparse.Namespace) -> int:
    reader = None if given.anyone else given.reader
    wish = Share(given.user, given.mailbox, given.uid, given.part, reader, given.expire)
    dovecot = LiveDovecot.find(given.file)
    print(share(dovecot, wish))
    if reader is not None:
        _remark_on_reader(dovecot, reader)
    return 0


def _remark_on_reader(dovecot: LiveDovecot, reader: str) -> None:
    """Whom nobody knows here may be known where the URL goes to, or be mistyped."""
    try:
        find_account(reader, dovecot.file)
    except LiveFailure:
        print(f"dovecot-urlauth: note: the userdb knows no {reader}, whom this URL is for", file=sys.stderr)


def _run_fetch(given: argparse.Namespace) -> int:
    dovecot = LiveDovecot.find(given.file)
    url = asked_for(given.url)
    fetch(dovecot, url, given.reader or reader_of(url), sys.stdout.buffer, decoded=given.decode)
    sys.stdout.buffer.flush()
    return 0


def _run_revoke(given: argparse.Namespace) -> int:
    revoke(LiveDovecot.find(given.file), given.user, given.mailbox)
    print(f"No URL of {given.mailbox} of {given.user} that was signed until now is honoured any more.")
    return 0


def _run_keys(given: argparse.Namespace) -> int:
    found = False
    for mailbox in keys(LiveDovecot.find(given.file), given.user):
        print(mailbox)
        found = True
    if not found:
        print(f"dovecot-urlauth: note: no mailbox of {given.user} has a key", file=sys.stderr)
    return 0
