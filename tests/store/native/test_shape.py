"""Transactions that look like one before: a log with boundaries says what the same records say without them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dovecot_urlauth.store.errors import StoreError
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.index import shape, transaction_log
from dovecot_urlauth.store.native.index.index_view import IndexView
from tests.store import ondisk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WANTED = (b"map", b"map-hdr")
START = ondisk.log_header() + ondisk.uid_validity(7)


def four(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _both(one: bytes, other: bytes) -> bytes:
    """One record in place of two of a kind."""
    return ondisk.log_record(int.from_bytes(one[4:8], "little"), one[8:] + other[8:])


RECORDS: dict[str, Callable[[int], bytes]] = {
    "mail": lambda number: ondisk.append((number, number & 0x1F)),
    "mails": lambda number: ondisk.append((number, 0), (number + 1, 1)),
    "expunge": lambda number: ondisk.expunge((number - 1, number - 1)),
    "flags": lambda number: ondisk.update_flags(1, number, 1),
    "keyword": lambda number: ondisk.update_keyword(0, b"a", (number, number)),
    "next": lambda number: ondisk.update_header(28, four(number)),
    "validity": ondisk.uid_validity,
    "two": lambda number: ondisk.log_record(0x20, b"\x1c\0\4\0" + four(number) + b"\x18\0\4\0" + four(number)),
    "unwanted": lambda number: ondisk.intro(b"cache", record=4),
    "other": lambda number: ondisk.intro(b"cache" + b"%d" % (number % 2), record=4),
    "wanted": lambda number: ondisk.intro(b"map", record=4),
    "stale": lambda number: ondisk.intro(b"map", record=4, reset_id=2),
    "header": lambda number: ondisk.intro(b"map-hdr", header=8),
    "longer": lambda number: ondisk.intro(b"map-hdr", header=12),
    "shorter": lambda number: ondisk.intro(b"map-hdr", header=4, shrinks=True),
    "update": lambda number: ondisk.update_records({number: four(number)}),
    "said": lambda number: ondisk.update_extension((0, four(number))),
    "wide": lambda number: ondisk.update_extension((0, four(number)), wide=True),
    "reset": lambda number: ondisk.reset_extension(2 * (number % 2)),
    "mop": lambda number: ondisk.intro(b"mop", record=4),
    "both": lambda number: _both(ondisk.intro(b"map-hdr", header=12), ondisk.intro(b"cache", record=4)),
    "twice": lambda number: _both(ondisk.update_header(28, four(number)), ondisk.update_header(32, four(number))),
    "unknown": lambda number: ondisk.log_record(0x8, four(number)),
}


def seen(folder: Path, log: bytes) -> object:
    """All that a reader learns from this log, or what it raises."""
    (folder / "box.log").write_bytes(log)
    view = IndexView(Directory.root(os.fsencode(folder)), WANTED, b"box")
    try:
        view.refresh()
        uids = range(70)
        return (
            view.uid_validity,
            [view.flags(uid) for uid in uids],
            [view.keywords(uid) for uid in uids],
            [view.extension_header(name) for name in WANTED],
            [view.extension_record(name, uid) for name in WANTED for uid in uids],
        )
    except StoreError as error:
        return type(error), error.text
    finally:
        view.close()


@st.composite
def forms(draw: st.DrawFn) -> list[list[str]]:
    """What some transactions consist of; all have the same size, and most the same records."""
    first = draw(st.lists(st.sampled_from(list(RECORDS)), min_size=1, max_size=8))
    found = [first]
    for _ in range(draw(st.integers(0, 2))):
        other = draw(st.permutations(draw(st.sampled_from(found))))
        at = draw(st.integers(0, len(other) - 1))
        size = len(RECORDS[other[at]](3))
        other[at] = draw(st.sampled_from([name for name, record in RECORDS.items() if len(record(3)) == size]))
        found.append(other)
    return found


def check(folder: Path, forms: list[list[str]], order: list[int]) -> None:
    """See that transactions of these forms say the same with and without boundaries."""
    plain = whole = START
    for number, which in enumerate(order, 1):
        records = b"".join(RECORDS[name](3 * number) for name in forms[which % len(forms)])
        plain += records
        whole += ondisk.boundary(12 + len(records)) + records
    assert seen(folder, whole) == seen(folder, plain)


@given(forms(), st.lists(st.integers(0, 2), min_size=3, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500)
def test_a_shape_changes_nothing(tmp_path: Path, forms: list[list[str]], order: list[int]) -> None:
    check(tmp_path, forms, order)


@pytest.mark.parametrize(
    ("forms", "order"),
    [
        # an introduction that nobody takes updates of, at the end, and updates without one behind it
        ([["wanted", "update", "unwanted", "mail"], ["update", "mail"]], [0, 0, 1]),
        # another extension's name of the same size
        ([["mop", "update"], ["wanted", "update"]], [0, 1, 1]),
        # another piece of the header
        ([["next"], ["validity"]], [0, 1]),
        ([["twice"], ["two"]], [0, 1]),
        # an introduction of two extensions, of which the first matters
        ([["both", "unwanted"], ["shorter", "said"]], [0, 1, 0]),
        # an introduction that counts once the extension was reset
        ([["wanted", "update", "stale", "update", "header"], ["mail", "wanted", "reset"]], [0, 0, 1, 0]),
        # an update that belongs to what the transaction before it has introduced
        ([["mail", "unwanted", "mail", "said"], ["mail", "said", "header", "mail"]], [0, 1, 1]),
    ],
)
def test_what_a_shape_must_not_forget(tmp_path: Path, forms: list[list[str]], order: list[int]) -> None:
    check(tmp_path, forms, order)


SAVED = ("mail", "unwanted", "update", "header", "said", "wanted", "update", "unwanted", "update", "next")


def saved(number: int) -> bytes:
    """What saving a mail writes."""
    records = b"".join(RECORDS[name](number) for name in SAVED)
    return ondisk.boundary(12 + len(records)) + records


def test_a_shape_is_learned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[int] = []
    real = shape.Shape

    def noted(*arguments: object) -> shape.Shape:
        learned.append(1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(transaction_log, "Shape", noted)
    log = START + b"".join(map(saved, range(1, 60)))
    result = seen(tmp_path, log)
    assert len(learned) == 1
    assert isinstance(result, tuple)
    assert result[3] == [b"", four(59) + bytes(4)]
    assert result[4][:70] == [b"", *map(four, range(1, 60)), *[b""] * 10]


@pytest.mark.parametrize(("name", "limit"), [("LARGEST", 100), ("MOST_LEARNED", 0)])
def test_what_is_not_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int) -> None:
    log = START + b"".join(map(saved, range(1, 6)))
    expected = seen(tmp_path, log)
    monkeypatch.setattr(transaction_log, name, limit)
    monkeypatch.setattr(transaction_log, "Shape", None)
    assert seen(tmp_path, log) == expected


@pytest.mark.parametrize("size", [0, 8, 12, 16, 32])
def test_a_boundary_inside_a_record(tmp_path: Path, size: int) -> None:
    """Where a transaction is said to end before its records do, no shape is learned, and all are played."""
    log = START + b"".join(ondisk.boundary(size) + RECORDS["mails"](3 * number) for number in range(1, 4))
    plain = START + b"".join(RECORDS["mails"](3 * number) for number in range(1, 4))
    assert seen(tmp_path, log) == seen(tmp_path, plain)
