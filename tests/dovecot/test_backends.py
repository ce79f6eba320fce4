"""Mail on another backend, and on an imapc frontend's."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from testing.imapclient import quote
from testing.instance import USERS
from testing.processes import wait_for
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene
from testing.versions import TUNED, VERSIONS, Version
from tests.dovecot.backends import IMAPC, IMAPC_LOGIN, SERVER_TLS, Backend, certificate, ring, running
from tests.dovecot.test_live import run

if TYPE_CHECKING:
    from tests.dovecot.conftest import Installations

pytestmark = pytest.mark.in_turns

PAIRS = [(a, b) for a in VERSIONS.values() for b in VERSIONS.values() if "bookworm" in (a.name, b.name) or a == b]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].name}+{pair[1].name}")
def test_urls_are_served_by_the_other_backend(pair: tuple[Version, Version], installations: Installations) -> None:
    """bob's imap is on the second; alice's mail, and the key that signs, are on the first and stay there."""
    first, second = ring(pair, installations)
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 64 * 1024 * 4 + b"\r\n"
    with running(first, second), Scene(first) as home, Scene(second) as away:
        stored, other = home.store(), home.store(large)
        bob = away.user("bob")
        for section, content in SECTIONS.items():
            assert bob.fetch_url(home.sign(stored, section=section)) == content, section
        for section, content in DECODED.items():
            items = bob.fetch_items(home.sign(stored, section=section), "BINARY")
            assert items is not None
            assert items[b"BINARY"] == content, section
        url = home.sign(stored)
        assert bob.fetch_url(home.sign(other)) == large
        anyone = home.sign(stored, "authuser")
        structure = bob.fetch_items(anyone, "BODYPARTSTRUCTURE")
        assert structure == home.user("alice").fetch_items(anyone, "BODYPARTSTRUCTURE")
        assert away.user("carol").fetch_url(url) is None
        for backend, name in ((first, "bob"), (second, "alice")):
            assert not (backend.home(name) / "Maildir").exists(), "no mailbox is made where the mail is not"
        assert bob.fetch_url(url) == MESSAGE
        home.user("alice").resetkey("INBOX")
        assert bob.fetch_url(url) is None
        assert bob.fetch_url(home.sign(stored)) == MESSAGE


@pytest.mark.parametrize("kind", ["plain", "starttls"])
def test_an_imapc_frontend(version: Version, installations: Installations, kind: str) -> None:
    """The frontend has nobody's mail; what it is asked for is fetched where its driver imapc would look."""
    home, frontend = (Backend(version, TUNED, installations[version]) for _ in range(2))
    frontend.extra = IMAPC[version.language] + IMAPC_LOGIN.format(port=home.imap_port)
    if kind == "starttls":
        home.extra = SERVER_TLS[version.language].format(home.inside / certificate(home.folder).name)
        frontend.extra += "imapc_ssl = starttls\n"
        frontend.extra += f"ssl_client_ca_file = {frontend.inside / 'ca.pem'}\n"
        (frontend.folder / "ca.pem").write_text((home.folder / "certificate").read_text())
    with running(home, frontend), Scene(home) as backend, Scene(frontend) as away:
        url = backend.sign(backend.store())
        assert away.user("bob").fetch_url(url) == MESSAGE
        backend.user("alice").resetkey("INBOX")
        assert away.user("bob").fetch_url(url) is None
        assert not (frontend.home("alice") / "imapc").exists(), "Dovecot's own driver was not asked"


def test_a_session_that_was_lost_is_made_again(version: Version, installations: Installations) -> None:
    """The backend's imap is killed, which nobody here notices before the next URL is asked for.

    The process here was root when it found the backend, and is so no more.
    """
    first, second = ring((version, version), installations)
    with running(first, second), Scene(first) as home, Scene(second) as away:
        url = home.sign(home.store())
        assert away.user("bob").fetch_url(url) == MESSAGE
        served = [process for process in second.processes() if "->alice]" in process.title]
        assert served
        assert all(0 not in process.uids and USERS["alice"] not in process.uids for process in served)
        parents = {process.pid for process in served}
        [dialer] = [process.pid for process in second.processes() if process.parent in parents]
        os.kill(dialer, signal.SIGSTOP)
        try:
            for process in first.processes("imap"):
                process.kill()
            tag = away.user("bob").send(b"URLFETCH " + quote(url))
            time.sleep(0.2)  # the URL reaches the worker; if it does not, the loss is noticed before
        finally:
            os.kill(dialer, signal.SIGCONT)
        assert away.user("bob").reply(tag).all(b"URLFETCH") == [[url, MESSAGE]]


def test_a_session_that_rests_is_logged_in_again(version: Version, installations: Installations) -> None:
    """Where nobody asks for anything there is no process and no dialer, while imap keeps its session."""
    first, second = ring((version, version), installations)
    with running(first, second), Scene(first) as home, Scene(second) as away:
        url = home.sign(home.store())
        for _ in range(2):
            assert away.user("bob").fetch_url(url) == MESSAGE
            assert wait_for(lambda: not [one for one in second.processes() if "->alice]" in one.title], 4.0)
        assert away.user("bob").fetch_url(url) == MESSAGE


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("down", "connect failed: Connection refused"),
        ("master", "Backend refused login"),
        ("password", "the passdb returned no password"),
        ("loop", "Backend refused login"),
    ],
)
def test_a_backend_that_cannot_be_had(
    version: Version, installations: Installations, fault: str, said: str
) -> None:
    """A NO and one line; no empty mailbox here in its place; others are served."""
    first, second = ring((version, version), installations)
    if fault == "down":
        second.ports = {"alice": second.submission_port + 1}
    elif fault == "loop":
        first.locals, first.ports = frozenset(), dict.fromkeys(USERS, second.imap_port)
        for backend in (first, second):
            backend.masters_are_looked_up = True
            backend.extra += "login_trusted_networks = 127.0.0.0/8\n"  # else nobody counts the hops
    else:
        second.password = "wrong" if fault == "master" else ""
    rump = "imap://alice@imap.example.test/INBOX;UIDVALIDITY=1/;UID=1;URLAUTH=user+bob:internal:" + "01" * 21
    with running(first, second), Scene(second) as away:
        own = away.sign(away.store(owner="bob"), "user+carol")
        assert away.user("bob").fetch_url(rump.encode()) is None
        second.log.wait_for(said)
        assert not (second.home("alice") / "Maildir").exists()
        assert away.user("carol").fetch_url(own) == MESSAGE


@pytest.mark.parametrize(
    ("field", "known"), [("starttls=yes", True), ("starttls=yes", False), ("starttls=any-cert", False)]
)
def test_an_encrypted_connection(version: Version, installations: Installations, field: str, known: bool) -> None:
    """A certificate that nobody vouches for is taken with any-cert alone."""
    first, second = ring((version, version), installations)
    pem = certificate(first.folder)
    first.extra += SERVER_TLS[version.language].format(first.inside / pem.name)
    second.more = field
    if known:
        (second.folder / "ca.pem").write_text((first.folder / "certificate").read_text())
        second.extra += f"ssl_client_ca_file = {second.inside / 'ca.pem'}\n"
    with running(first, second), Scene(first) as home, Scene(second) as away:
        url = home.sign(home.store())
        works = known or "any-cert" in field
        assert away.user("bob").fetch_url(url) == (MESSAGE if works else None)
        if not works:
            second.log.wait_for("TLS: ")
        else:
            assert [
                line for line in first.log.lines() if "Login: " in line or "Logged in: " in line if "TLS" in line
            ]


def test_the_command_knows_where_mail_is(version: Version, installations: Installations) -> None:
    """On the backend that has it not: check says where it is, test makes no mailbox, and a URL is tried."""
    first, second = ring((version, version), installations)

    def say(*words: str) -> list[str]:
        return run(second, installations[version], *words).stdout.decode().splitlines()

    with running(first, second), Scene(first) as home:
        url = home.sign(home.store()).decode()
        where = f"backend 127.0.0.1:{first.imap_port}"
        assert f"ok    mail of alice is on {where}, where the worker logs in as master" in say(
            "check", "--user", "alice"
        )
        assert f"FAIL  imap: the mail of alice is on {where}, and its keys are; run this there" in say(
            "test", "--user", "alice", "--as", "bob"
        )
        assert say("test", url)[1:] == [
            f"note  the mail of alice is on {where}: key and message are there, too",
            f"ok    bob was given {len(MESSAGE)} bytes",
            "This URL is honoured.",
        ]
        assert not (second.home("alice") / "Maildir").exists()
