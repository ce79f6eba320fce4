"""Index and transaction log against a model, the files' rotation, and bytes that are neither."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dovecot_urlauth.store.errors import MailboxMissing, StoreError, Unsupported
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.index import changes, index_view
from dovecot_urlauth.store.native.index.index_view import IndexView
from dovecot_urlauth.store.native.index.transaction_log import decode_size
from tests.store import ondisk

if TYPE_CHECKING:
    from pathlib import Path

SEEN = 0x08
FLAGGED = 0x02


def write(
    folder: Path, index: bytes | None = None, log: bytes | None = None, old_log: bytes | None = None
) -> None:
    for name, data in (("", index), (".log", log), (".log.2", old_log)):
        path = folder / f"dovecot.index{name}"
        if data is None:
            path.unlink(missing_ok=True)
        else:
            path.with_suffix(".tmp").write_bytes(data)
            path.with_suffix(".tmp").rename(path)


def view(folder: Path) -> IndexView:
    opened = IndexView(Directory.root(os.fsencode(folder)))
    try:
        opened.refresh()
    except BaseException:
        opened.close()
        raise
    return opened


def uids(opened: IndexView, upto: int = 20) -> dict[int, int]:
    """The messages as a mapping of UIDs to flags."""
    found = {uid: opened.flags(uid) for uid in range(upto)}
    return {uid: flags for uid, flags in found.items() if flags is not None}


def test_main_index_alone(tmp_path: Path) -> None:
    write(tmp_path, ondisk.index([(2, 0), (5, SEEN), (9, 0)]), ondisk.log_header())
    opened = view(tmp_path)
    assert opened.uid_validity == 1000
    assert uids(opened) == {2: 0, 5: SEEN, 9: 0}
    assert opened.flags((1 << 32) - 1) is None


def test_log_alone(tmp_path: Path) -> None:
    """A new mailbox has no main index for a while."""
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(7) + ondisk.append((1, 0), (2, SEEN)))
    opened = view(tmp_path)
    assert opened.uid_validity == 7
    assert uids(opened) == {1: 0, 2: SEEN}


def test_log_on_top(tmp_path: Path) -> None:
    log = (
        ondisk.log_header()
        + ondisk.append((3, 0), (4, 0), (7, 0))  # 3 was there already
        + ondisk.expunge((1, 1), (4, 5))
        + ondisk.expunge((7, 7), external=False)  # a wish, not a fact
        + ondisk.expunge_guid(2, 3)
        + ondisk.update_flags(6, 8, add=FLAGGED | SEEN)
        + ondisk.update_flags(7, 7, remove=SEEN)
    )
    write(tmp_path, ondisk.index([(1, 0), (2, 0), (3, 0)], next_uid=4), log)
    assert uids(view(tmp_path)) == {7: FLAGGED}


def test_keywords_in_the_log(tmp_path: Path) -> None:
    log = (
        ondisk.log_header()
        + ondisk.append((1, 0), (2, 0), (3, 0))
        + ondisk.update_keyword(0, b"Junk", (1, 3))
        + ondisk.update_keyword(0, b"$Forwarded", (2, 2))
        + ondisk.update_keyword(1, b"Junk", (3, 3), (5, 9))
        + ondisk.update_keyword(2, b"NonJunk", (1, 1))
        + ondisk.log_record(0x800, struct.pack("<II", 4, 7))
    )
    write(tmp_path, None, log)
    opened = view(tmp_path)
    found = {uid: opened.keywords(uid) for uid in (1, 2, 3, 9)}
    assert found == {1: {b"NonJunk"}, 2: {b"Junk", b"$Forwarded"}, 3: set(), 9: set()}


def test_what_the_main_index_includes_is_not_played_again(tmp_path: Path) -> None:
    first = ondisk.append((1, 0))
    log = ondisk.log_header() + first + ondisk.expunge((1, 1)) + ondisk.append((2, 0))
    write(tmp_path, ondisk.index([], next_uid=2, log=(1, len(log))), log)
    assert uids(view(tmp_path)) == {}


def test_rotated_log(tmp_path: Path) -> None:
    old = ondisk.log_header(1) + ondisk.append((1, 0), (2, 0))
    new = ondisk.log_header(2, (1, len(old))) + ondisk.append((3, 0)) + ondisk.expunge((1, 1))
    write(tmp_path, ondisk.index([], log=(1, 40)), new, old)
    assert uids(view(tmp_path)) == {2: 0, 3: 0}
    write(tmp_path, ondisk.index([(1, 0), (2, 0)], log=(1, len(old))), new, None)
    assert uids(view(tmp_path)) == {2: 0, 3: 0}


def test_index_that_was_reset(tmp_path: Path) -> None:
    """A log without a predecessor behind the index's own starts everything anew."""
    new = ondisk.log_header(5) + ondisk.uid_validity(2000) + ondisk.append((1, 0))
    write(tmp_path, ondisk.index([(1, 0), (2, 0)], log=(3, 40)), new)
    opened = view(tmp_path)
    assert (opened.uid_validity, uids(opened)) == (2000, {1: 0})


def test_transaction_that_is_not_complete(tmp_path: Path) -> None:
    whole = ondisk.append((1, 0))
    part = ondisk.append((2, 0))
    transaction = ondisk.boundary(12 + 2 * len(part)) + part
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(1) + whole + transaction)
    assert uids(view(tmp_path)) == {1: 0}
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(1) + whole + transaction + part)
    assert uids(view(tmp_path)) == {1: 0, 2: 0}


@pytest.mark.parametrize("kept", range(1, 16))
def test_record_that_is_not_complete(tmp_path: Path, kept: int) -> None:
    last = ondisk.append((2, 0))
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(1) + ondisk.append((1, 0)) + last[:kept])
    assert uids(view(tmp_path)) == {1: 0}


def test_record_whose_size_is_not_yet_written(tmp_path: Path) -> None:
    last = bytes(4) + ondisk.append((2, 0))[4:]
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(1) + last)
    assert uids(view(tmp_path)) == {}


def test_refresh_follows(tmp_path: Path) -> None:
    log = ondisk.log_header() + ondisk.uid_validity(1) + ondisk.append((1, 0))
    write(tmp_path, None, log)
    opened = view(tmp_path)
    assert uids(opened) == {1: 0}
    with (tmp_path / "dovecot.index.log").open("ab") as file:
        file.write(ondisk.append((2, 0)))
    assert uids(opened) == {1: 0}
    opened.refresh()
    assert uids(opened) == {1: 0, 2: 0}
    write(tmp_path, ondisk.index([(2, 0)], log=(2, 40)), ondisk.log_header(2, (1, len(log))))
    opened.refresh()
    assert uids(opened) == {2: 0}


def test_answers_are_remembered_until_the_index_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[int] = []
    real = changes.Changes.play

    def noted(self: changes.Changes, uid: int, flags: int | None) -> int | None:
        played.append(uid)
        return real(self, uid, flags)

    monkeypatch.setattr(changes.Changes, "play", noted)
    monkeypatch.setattr(index_view, "LIMIT_KNOWN", 2)
    log = ondisk.log_header() + ondisk.append((1, 0), (2, SEEN), (3, 0))
    write(tmp_path, None, log)
    opened = view(tmp_path)
    assert [opened.flags(uid) for uid in (1, 2, 1, 2)] == [0, SEEN, 0, SEEN]
    assert [opened.flags(uid) for uid in (3, 1)] == [0, 0]
    assert played == [1, 2, 3, 1]
    write(tmp_path, None, log + ondisk.expunge((1, 1)))
    opened.refresh()
    assert opened.flags(1) is None


def test_what_is_appended_is_all_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ondisk.log_header() + ondisk.uid_validity(1) + ondisk.append((1, 0)) + ondisk.append((2, 0))[:10]
    write(tmp_path, None, log)
    opened = view(tmp_path)
    monkeypatch.setattr(opened, "_load", lambda: pytest.fail("read anew"))
    with (tmp_path / "dovecot.index.log").open("ab") as file:
        file.write(ondisk.append((2, 0))[10:] + ondisk.append((3, 0)))
    opened.refresh()
    assert uids(opened) == {1: 0, 2: 0, 3: 0}
    with (tmp_path / "dovecot.index.log").open("ab") as file:
        file.write(ondisk.expunge((1, 1)) + ondisk.append((4, 0))[:9])
    opened.refresh()
    assert uids(opened) == {2: 0, 3: 0}


LONGER = ondisk.append((2, 0)) + ondisk.append((3, 0))
REWRITTEN = {
    "another file": ondisk.log_header() + ondisk.uid_validity(1) + ondisk.append((1, SEEN)) + LONGER,
    "a shorter one": ondisk.log_header() + ondisk.uid_validity(1),
    "another header": ondisk.log_header(4) + ondisk.uid_validity(1) + ondisk.append((1, SEEN)) + LONGER,
}


@pytest.mark.parametrize("case", REWRITTEN)
def test_a_log_that_did_not_just_grow(tmp_path: Path, case: str) -> None:
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(1) + ondisk.append((1, 0)))
    opened = view(tmp_path)
    if case == "another file":
        write(tmp_path, None, REWRITTEN[case])
    else:
        (tmp_path / "dovecot.index.log").write_bytes(REWRITTEN[case])
    opened.refresh()
    assert uids(opened) == ({} if "shorter" in case else {1: SEEN, 2: 0, 3: 0})


def test_what_cannot_be_played_is_not_played_twice(tmp_path: Path) -> None:
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(1) + ondisk.append((1, 0)))
    opened = view(tmp_path)
    with (tmp_path / "dovecot.index.log").open("ab") as file:
        file.write(ondisk.append((2, 0)) + b"\x80\x80\x80\x81" + bytes(8))
    for _ in range(2):
        with pytest.raises(Unsupported, match="broken record"):
            opened.refresh()
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(1) + ondisk.append((9, 0)))
    opened.refresh()
    assert uids(opened) == {9: 0}


def test_a_deleted_mailbox_stays_deleted(tmp_path: Path) -> None:
    write(tmp_path, None, ondisk.log_header() + ondisk.uid_validity(1))
    opened = view(tmp_path)
    with (tmp_path / "dovecot.index.log").open("ab") as file:
        file.write(ondisk.log_record(0x20000 | ondisk.EXTERNAL, b""))
    for _ in range(2):
        with pytest.raises(MailboxMissing):
            opened.refresh()


def test_deleted_mailbox(tmp_path: Path) -> None:
    deleted = ondisk.log_record(0x20000 | ondisk.EXTERNAL, b"")
    log = ondisk.log_header() + ondisk.uid_validity(1) + deleted
    write(tmp_path, None, log)
    with pytest.raises(MailboxMissing):
        view(tmp_path)
    write(tmp_path, None, log + ondisk.log_record(0x40000 | ondisk.EXTERNAL, b""))
    assert view(tmp_path).uid_validity == 1


@pytest.mark.parametrize(
    ("index", "log", "reason"),
    [
        (None, None, "no index yet"),
        (None, ondisk.log_header(2, (1, 40)), "no main index"),
        (ondisk.index([])[:60], ondisk.log_header(), "too short"),
        (ondisk.index([(1, 0), (2, 0)])[:-1], ondisk.log_header(), "truncated"),
        (ondisk.index([], flags=1), ondisk.log_header(), "marked corrupted"),
        (b"\6" + ondisk.index([])[1:], ondisk.log_header(), "version 6"),
        (ondisk.index([]), ondisk.log_header(index_id=0), "marked corrupted"),
        (ondisk.index([]), ondisk.log_header(index_id=5), "belong together"),
        (ondisk.index([], log=(1, 400)), ondisk.log_header(), "shorter than"),
        (ondisk.index([], log=(1, 40)), ondisk.log_header(3, (2, 40)), "is missing"),
        (ondisk.index([], log=(1, 40)), b"", "too short"),
        (ondisk.index([]), ondisk.log_header() + b"\x80\x80\x80\x81" + bytes(8), "broken record"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_is_not_understood(tmp_path: Path, index: bytes | None, log: bytes | None, reason: str) -> None:
    write(tmp_path, index, log)
    with pytest.raises(Unsupported, match=reason):
        view(tmp_path)


def test_uids_that_do_not_ascend(tmp_path: Path) -> None:
    write(tmp_path, ondisk.index([(5, 0), (3, 0), (9, 0)]), ondisk.log_header())
    with pytest.raises(Unsupported, match="ascend"):
        view(tmp_path).flags(1)


def test_very_many_expunged_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_view, "LIMIT_GONE", 3)
    messages = [(uid, 0) for uid in range(1, 9)]
    write(tmp_path, ondisk.index(messages), ondisk.log_header() + ondisk.expunge((2, 3)))
    assert view(tmp_path).uid_after(1) == 4
    write(tmp_path, ondisk.index(messages), ondisk.log_header() + ondisk.expunge((2, 4)))
    with pytest.raises(Unsupported, match="very many expunged"):
        view(tmp_path).uid_after(1)


def test_log_of_very_many_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LIMIT_EVENTS", 5)
    write(tmp_path, None, ondisk.log_header() + b"".join(ondisk.expunge((1, 1)) for _ in range(6)))
    with pytest.raises(Unsupported, match="very many"):
        view(tmp_path)


def test_files_that_are_no_files(tmp_path: Path) -> None:
    write(tmp_path, None, ondisk.log_header())
    os.mkfifo(tmp_path / "dovecot.index")
    with pytest.raises(StoreError):
        view(tmp_path)


@given(st.integers(0, (1 << 28) - 1))
def test_size_field(units: int) -> None:
    field = bytes(0x80 | (units >> shift & 0x7F) for shift in (21, 14, 7, 0))
    assert decode_size(int.from_bytes(field, "little")) == units * 4


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["append", "expunge", "guid", "add", "remove"]), st.integers(1, 12), st.integers(0, 4)
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS, st.data())
def test_any_history_gives_the_model(tmp_path: Path, operations: list[tuple[str, int, int]], data: Any) -> None:
    """Whatever happened, and wherever the main index and a rotation cut it: what is left is the same."""
    model: dict[int, int] = {}
    next_uid = 1
    states: list[tuple[dict[int, int], int]] = [({}, 1)]
    records = []
    for what, first, more in operations:
        gone = range(first, first + more + 1)
        if what == "append":
            added = [(next_uid + more + place, SEEN) for place in range(first)]
            records.append(ondisk.append(*added))
            model.update(added)
            next_uid = added[-1][0] + 1
        elif what in ("expunge", "guid"):
            records.append(
                ondisk.expunge((first, first + more)) if what == "expunge" else ondisk.expunge_guid(*gone)
            )
            model = {uid: flags for uid, flags in model.items() if uid not in gone}
        else:
            add, remove = (FLAGGED, 0) if what == "add" else (0, SEEN)
            records.append(ondisk.update_flags(first, first + more, add, remove))
            model = {u: (f | add) & ~remove if u in gone else f for u, f in model.items()}
        states.append((dict(model), next_uid))
    flushed = data.draw(st.integers(0, len(records)), "records in the main index")
    rotated = data.draw(st.integers(0, len(records)), "records in the older log")
    old = ondisk.log_header(1) + b"".join(records[:rotated])
    new = ondisk.log_header(2, (1, len(old))) + b"".join(records[rotated:])
    if flushed <= rotated:
        position = (1, 40 + sum(map(len, records[:flushed])))
    else:
        position = (2, 40 + sum(map(len, records[rotated:flushed])))
    messages, following = states[flushed]
    write(tmp_path, ondisk.index(sorted(messages.items()), next_uid=following, log=position), new, old)
    opened = view(tmp_path)
    assert uids(opened, next_uid + 20) == model
    for uid in range(next_uid + 2):
        assert opened.uid_after(uid) == min((each for each in model if each > uid), default=None)
    opened.close()
    written = data.draw(st.integers(40, len(new)), "bytes of the newer log that are there at first")
    write(tmp_path, ondisk.index(sorted(messages.items()), next_uid=following, log=position), new[:written], old)
    if position[0] == 2 and written < position[1]:
        return
    opened = view(tmp_path)
    with (tmp_path / "dovecot.index.log").open("ab") as file:
        file.write(new[written:])
    opened.refresh()
    assert uids(opened, next_uid + 20) == model
    opened.close()


def total(folder: Path) -> None:
    """Either a view that answers or a documented error."""
    try:
        opened = view(folder)
    except StoreError:
        return
    try:
        for uid in (0, 1, 2, 3, 1 << 31):
            opened.flags(uid)
            opened.keywords(uid)
            after = opened.uid_after(uid)
            assert after is None or after > uid
    except StoreError:
        pass
    finally:
        opened.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes(tmp_path: Path, index: bytes, log: bytes) -> None:
    write(tmp_path, index, log)
    total(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage(tmp_path: Path, data: Any) -> None:
    index = bytearray(ondisk.index([(1, 0), (2, 0), (3, 0)]))
    log = bytearray(
        ondisk.log_header()
        + ondisk.uid_validity(3)
        + ondisk.boundary(28)
        + ondisk.append((4, 0), (5, 0))
        + ondisk.expunge_guid(2)
        + ondisk.update_flags(1, 9, 4)
        + ondisk.update_keyword(0, b"Junk", (1, 3))
    )
    for file in (index, log):
        for at in data.draw(st.lists(st.integers(0, len(file) - 1), max_size=4)):
            file[at] = data.draw(st.integers(0, 255))
        del file[data.draw(st.integers(0, 2 * len(file))) :]
    write(tmp_path, bytes(index), bytes(log))
    total(tmp_path)


def test_a_large_mailbox_costs_no_more(tmp_path: Path) -> None:
    """The first answer for 200 000 messages takes about as long as for 100."""
    times = []
    for count in (100, 200_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        records = b"".join(struct.pack("<IB3x", uid, 0) for uid in range(1, count + 1))
        write(folder, ondisk.index([], next_uid=count + 1), ondisk.log_header())
        path = folder / "dovecot.index"
        header = bytearray(path.read_bytes())
        struct.pack_into("<I", header, 32, count)
        path.write_bytes(header + records)
        times.append(min(timed(folder, count // 3) for _ in range(30)))
    assert times[1] < 2 * times[0] + 0.0005


def timed(folder: Path, uid: int) -> float:
    start = time.perf_counter()
    opened = view(folder)
    assert opened.flags(uid) == 0
    opened.close()
    return time.perf_counter() - start
