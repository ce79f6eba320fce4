"""Any index and logs give flags and keywords of messages, or an error of the store's."""

from __future__ import annotations

from dovecot_urlauth.store.errors import StoreError
from dovecot_urlauth.store.native.index.index_view import INDEX_NAME, IndexView
from fuzzing.memory import MemoryFolder

UIDS = (0, 1, 2, 3, 5, 9, (1 << 32) - 1)
NAMES = (INDEX_NAME, INDEX_NAME + b".log", INDEX_NAME + b".log.2")
EXTENSION = b"modseq"
MARK = b"--\n"
"""Between the index, its log and the older log; an empty one is not there."""


def seeds() -> list[bytes]:
    from tests.store import ondisk

    records = [(1, 0), (2, 8), (5, 2)]
    changes = (
        ondisk.append((3, 0), (9, 8))
        + ondisk.expunge((1, 1))
        + ondisk.expunge_guid(2)
        + ondisk.update_flags(3, 9, add=2, remove=8)
        + ondisk.update_keyword(0, b"Junk", (1, 9))
        + ondisk.uid_validity(7)
    )
    log = ondisk.log_header() + changes
    newer = ondisk.log_header(2, (1, len(log))) + ondisk.boundary(24) + ondisk.append((7, 0))
    return [
        ondisk.index(records) + MARK + log + MARK,
        MARK + log + MARK,
        ondisk.index(records) + MARK + newer + MARK + log,
        ondisk.index(records, log=(1, len(log))) + MARK + newer + MARK,
        ondisk.index([], record_size=16) + MARK + ondisk.log_header() + MARK,
    ]


def check(data: bytes) -> None:
    files = {name: content for name, content in zip(NAMES, data.split(MARK, 2)) if content}
    view = IndexView(MemoryFolder(files), (EXTENSION,))  # type: ignore[arg-type]
    try:
        view.refresh()
        for uid in UIDS:
            flags = view.flags(uid)
            assert flags is None or 0 <= flags < 256
            assert isinstance(view.extension_record(EXTENSION, uid), bytes)
            following = view.uid_after(uid)
            assert following is None or (following > uid and view.has(following))
            assert all(isinstance(name, bytes) for name in view.keywords(uid))
    except StoreError:
        return
