"""Two backends that share homes and mailbox keys serve each other's URLs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from testing.logs import unexpected
from testing.oracle import STOCK_WORKER, WorkerSession
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene
from testing.sharing import Keys, two_backends
from tests.dovecot.backends import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testing.sharing import SharingInstance
    from testing.versions import Version
    from tests.dovecot.conftest import Installations

pytestmark = pytest.mark.in_turns

LARGE = b"Subject: large\r\n\r\n" + (b"0123456789abcdef" * 64 + b"\r\n") * 25 * 1000


@pytest.fixture(params=Keys, ids=lambda keys: keys.value)
def backends(
    version: Version, installations: Installations, request: pytest.FixtureRequest
) -> Iterator[tuple[SharingInstance, SharingInstance]]:
    homes = version.folder()
    made = two_backends(version, installations[version], (homes, homes), request.param, "mmap_disable = yes\n")
    with running(*made):
        yield made
        for backend in made:
            assert not unexpected(backend.log.lines())
    shutil.rmtree(homes)


def test_what_one_signs_the_other_serves(backends: tuple[SharingInstance, SharingInstance]) -> None:
    first, second = backends
    with Scene(first) as here, Scene(second) as there:
        stored, alice, bob = here.store(), here.user("alice"), there.user("bob")
        url = here.sign(stored)
        for section in ("", "HEADER", "3.1"):
            assert bob.fetch_url(here.sign(stored, section=section)) == SECTIONS[section]
        for section, content in DECODED.items():
            assert bob.fetch_items(here.sign(stored, section=section), "BINARY") == {b"BINARY": content}
        structures = [scene.user("bob").fetch_items(url, "BODYPARTSTRUCTURE") for scene in (here, there)]
        assert structures[0] == structures[1] is not None
        assert bob.fetch_url(here.sign(here.store(LARGE))) == LARGE
        with WorkerSession(second, STOCK_WORKER) as stock:
            stock.access(b"bob")
            assert stock.select(b"alice") == b"OK\n"
            assert stock.fetch(url).content == MESSAGE

        # what is done at one is seen at the other at once, in the session that has looked before
        alice.command(b"SELECT INBOX")
        added = here.store()
        gone = here.sign(added)
        assert bob.fetch_url(gone) == MESSAGE
        alice.command(rb"UID STORE %d +FLAGS (\Deleted)" % added.uid)
        assert alice.command(b"UID EXPUNGE %d" % added.uid).ok
        assert bob.fetch_url(gone) is None
        assert bob.fetch_url(url) == MESSAGE
        there.user("alice").resetkey("INBOX")
        for scene in (here, there):
            assert scene.user("bob").fetch_url(url) is None
        again = there.sign(stored)
        assert again != url
        for scene in (here, there):
            assert scene.user("bob").fetch_url(again) == MESSAGE
