"""The published configurations of well-known mail servers: read natively, and as the stock worker reads them.

Their storage, userdb and plugin settings are in testing/configs/sites, in words of our own: what a database would
answer is a static userdb there, and what it would store is in files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from string import Template
from typing import TYPE_CHECKING

import pytest

from testing.instance import CONFIGS, DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerSession
from testing.scene import DECODED, SECTIONS, Scene
from testing.versions import TUNED, VERSIONS, Version
from tests.dovecot.test_encrypted_stores import key_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations

VMAIL = 5010
"""uid and gid of the one account that all mail belongs to."""

MAIL_GROUP = 8
ENCRYPTED = b"CRYPTED\x03\x07"
ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b"
PLAIN = b"From: Alice"


@dataclass(frozen=True)
class Site:
    """What is to be found on disk when a site's settings are in force, and a mailbox name as they have it."""

    inbox: str
    """The files of alice's INBOX, as a pattern below the instance's folder."""
    starts: bytes = PLAIN
    """How her mail starts there."""
    other: str = "Archive.2026"
    domain: str = "@example.test"


SITES = {
    "debian": Site("spool/alice", b"From ", "Archive/2026", domain=""),
    "mailinabox": Site("store/mail/mailboxes/example.test/alice/*/*.M*"),
    "iredmail": Site("store/vmail1/**/alice-2026/Maildir/*/*.M*", other="Archive/2026"),
    "mailcow": Site("store/example.test/alice/Maildir/*/*.M*", ENCRYPTED, "Archive/v1.0"),
    "docker-mailserver": Site("store/example.test/alice/*/*.M*"),
    "ispconfig": Site("store/example.test/alice/Maildir/*/*.M*"),
    "modoboa": Site("store/example.test/alice/Maildir/*/*.M*"),
    "mailu": Site("store/alice@example.test/*/*.M*", ZSTD),
    "cpanel": Site("store/account/mail/example.test/alice/*/*.M*", GZIP, "INBOX.Archive.2026"),
}


class SiteInstance(DovecotInstance):
    """A Dovecot with a site's settings."""

    site = "debian"

    def _write_users(self) -> None:
        self.users = {f"{name}{SITES[self.site].domain}": uid for name, uid in self.users.items()}
        super()._write_users()
        for name, owner, group, mode in (("store", VMAIL, VMAIL, 0o700), ("spool", 0, MAIL_GROUP, 0o2775)):
            folder = self.folder / name
            folder.mkdir()
            os.chown(folder, owner, group)
            folder.chmod(mode)
        for name, key in zip(("private.pem", "public.pem"), key_pair("global"), strict=True):
            (self.folder / name).write_bytes(key)
            os.chown(self.folder / name, VMAIL, VMAIL)

    def _configuration(self) -> str:
        text = (CONFIGS / "sites" / f"{self.site}.{self.version.language}.conf").read_text()
        settings = Template(text).substitute(base=self.inside, dollar="$", vmail=VMAIL)
        plain = super()._configuration()
        if "userdb" in text:
            before, userdb, after = plain.partition("\nuserdb ")
            assert userdb
            plain = before + after.partition("}")[2]
        return plain + settings


def _rows() -> list[tuple[str, Version]]:
    """Each configuration on one version of its language; on all that DOVECOT_URLAUTH_VERSIONS names."""
    wanted = os.environ.get("DOVECOT_URLAUTH_VERSIONS", "").split()
    rows = []
    for number, path in enumerate(sorted((CONFIGS / "sites").glob("*.conf"))):
        site, _, language = path.stem.partition(".")
        fitting = [version for version in VERSIONS.values() if version.language == language]
        chosen = [version for version in fitting if version.name in wanted] if wanted else []
        rows += [(site, version) for version in chosen or ([] if wanted else [fitting[number % len(fitting)]])]
    return rows


@pytest.mark.parametrize(
    ("site", "running_on"), _rows(), ids=[f"{site}-{version.name}" for site, version in _rows()]
)
def test_site(
    starter: Callable[..., DovecotInstance], installations: Installations, site: str, running_on: Version
) -> None:
    expected = SITES[site]
    alice, bob = (f"{name}{expected.domain}" for name in ("alice", "bob"))
    dovecot = SiteInstance(running_on, TUNED, installations[running_on], "mail_debug = yes\n")
    dovecot.site = site
    starter(dovecot)
    urls = []
    with Scene(dovecot) as scene:
        scene.create(expected.other, alice)
        for mailbox in ("INBOX", expected.other):
            stored = replace(scene.store(mailbox=mailbox, owner=alice), owner=alice.replace("@", "%40"))
            access = f"user+{bob.replace('@', '%40')}"
            rumps = [stored.rump(access, section=section) for section in SECTIONS]
            urls += [scene.user(alice).genurlauth(rump)[0] for rump in rumps]
        contents = [*SECTIONS.values()] * 2
        assert [scene.user(bob).fetch_url(url) for url in urls] == contents
        for worker in (WORKER, STOCK_WORKER):
            with WorkerSession(dovecot, worker) as session:
                session.access(bob.encode())
                assert session.select(alice.encode()) == b"OK\n"
                assert [session.fetch(url).content for url in urls] == contents
                for section, content in DECODED.items():
                    assert session.fetch(urls[[*SECTIONS].index(section)], b"binary").content == content
    [file] = list(dovecot.folder.glob(expected.inbox))
    assert file.read_bytes().startswith(expected.starts)
    dovecot.log.wait_for("store: ")
    chosen = [line for line in dovecot.log.lines() if " store: " in line]
    assert all(line.endswith(" store: native") for line in chosen), chosen
