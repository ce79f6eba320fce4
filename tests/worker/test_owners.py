"""Asking for the owner of shared mail, who may be nobody, or none of the target user's business."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.wire.authmaster import UserReply
from dovecot_urlauth.worker import owners
from dovecot_urlauth.worker.userdb import LookupFailed

if TYPE_CHECKING:
    from dovecot_urlauth.store.native.owners import FindOwner

ANSWERS: dict[bytes, Any] = {
    b"carol": UserReply(1, b"carol", {b"home": b"/home/carol"}),
    b"homeless": UserReply(1, b"homeless", {b"uid": b"5000"}),
    b"nobody": None,
    b"hidden": LookupFailed("userdb uid doesn't match peer uid"),
}


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> FindOwner:
    made: list[object] = []

    class Userdb:
        def __init__(self, *_: object) -> None:
            made.append(self)
            assert len(made) == 1

        async def ask(self, name: bytes, *, debug: bool) -> UserReply | None:
            assert debug
            answer = ANSWERS[name]
            if isinstance(answer, LookupFailed):
                raise answer
            found: UserReply | None = answer
            return found

    monkeypatch.setattr(owners, "Userdb", Userdb)
    config: Any = SimpleNamespace(dialect=None, userdb_path=b"/auth-userdb")
    log: Any = SimpleNamespace(pipe=SimpleNamespace(debugging=True))
    finder = owners.owner_finder(Loop(), config, log)
    assert not made  # whoever connects now is root
    return finder


def test_owners(find: FindOwner) -> None:
    async def homes() -> list[bytes | None]:
        return [await find(name) for name in (b"carol", b"nobody", b"carol")]

    assert Loop().run(homes()) == [b"/home/carol", None, b"/home/carol"]


@pytest.mark.parametrize(("name", "reason"), [(b"homeless", "without a home"), (b"hidden", "doesn't match peer")])
def test_whom_dovecot_asks_itself(find: FindOwner, name: bytes, reason: str) -> None:
    async def home() -> None:
        await find(name)

    with pytest.raises(Unsupported, match=reason):
        Loop().run(home())
