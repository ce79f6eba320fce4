"""Any bytes of a uidlist give the entry that reading line by line gives, or an error of the store's."""

from __future__ import annotations

from dovecot_urlauth.store.errors import StoreError
from dovecot_urlauth.store.native.maildir import uidlist
from dovecot_urlauth.store.native.maildir.uidlist import Uidlist
from fuzzing.memory import MemoryFile

UIDS = (0, 1, 2, 3, 7, 40, 999, 1 << 32)
SMALL = 64


def seeds() -> list[bytes]:
    from tests.store import ondisk

    lines = [(uid, f"S{uid} W{uid + 2} :name{uid}") for uid in range(1, 60)]
    return [
        ondisk.uidlist(lines),
        ondisk.uidlist([(1, ":a"), (3, "G0 P x :b,S=1:2,S"), (2, ":late")]),
        b"1 77 4\n1 first\n3  second file\n",
        ondisk.uidlist([(7, "no name"), (40, ":a/b"), (999, ":..")]),
    ]


def _found(data: bytes) -> list[object]:
    answers: list[object] = []
    for uid in UIDS:
        try:
            answers.append(Uidlist(MemoryFile(data)).find(uid))  # type: ignore[arg-type]
        except StoreError as error:
            answers.append(type(error))
    return answers


def check(data: bytes) -> None:
    whole = _found(data)
    usual = uidlist.BLOCK
    uidlist.BLOCK = SMALL
    try:
        assert _found(data) == whole
    finally:
        uidlist.BLOCK = usual
