"""What entries come to for an owner, and for somebody else."""

from __future__ import annotations

import pytest

from dovecot_urlauth.store.native.acl.entries import ALL, LETTERS, parse_entry
from dovecot_urlauth.store.native.acl.rights import rights_of_other, rights_of_owner

LETTER_OF = {name: letter for letter, name in LETTERS.items()}


def rights(*lines: bytes) -> str:
    """The letters of alice's rights; a line that begins with ``*`` is one for all users."""
    entries = [parse_entry(line.removeprefix(b"*"), is_global=line.startswith(b"*")) for line in lines]
    return "".join(sorted(LETTER_OF[name] for name in rights_of_owner(entries, b"alice", {b"staff", b"crew"})))


EVERYTHING = "".join(sorted(LETTERS))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), EVERYTHING),
        ((b"anyone l", b"authenticated l", b"group=staff l", b"user=bob l"), EVERYTHING),
        ((b"owner lr",), "lr"),
        ((b"owner lr", b"user=alice w"), "w"),
        ((b"user=alice w", b"owner lr"), "w"),
        ((b"user=alice w", b"group-override=staff l", b"group-override=other r"), "l"),
        ((b"group-override=staff l", b"group-override=crew r"), "lr"),
        ((b"-group-override=staff l", b"-group-override=crew r", b"owner lrw"), "w"),
        ((b"-owner r",), EVERYTHING.replace("r", "")),
        ((b"owner l", b"owner r"), "lr"),
        ((b"owner lr", b"-owner r"), "l"),
        ((b"-owner r", b"-owner l"), ""),
        ((b"-owner r", b"user=alice lr"), "l"),
        ((b"-owner r", b"-user=alice l"), EVERYTHING.replace("l", "")),
        ((b"-owner r", b"user=alice l", b"user=alice r"), "lr"),
        ((b"*anyone l",), "l"),
        ((b"*anyone l", b"owner lr"), "l"),
        ((b"*user=bob l", b"owner lr"), "lr"),
        ((b"-owner r", b"*user=alice lr"), "lr"),
        ((b"-owner r", b"*-anyone w"), EVERYTHING.replace("w", "")),
        ((b"*-anyone l", b"*-authenticated r"), EVERYTHING.replace("r", "")),
        ((b"*group=staff l", b"*group=crew r", b"*group=other w"), "lr"),
    ],
)
def test_rights(lines: tuple[bytes, ...], expected: str) -> None:
    assert rights(*lines) == expected


def test_a_right_of_another_name() -> None:
    entries = [parse_entry(b"owner :lookup made-up")]
    assert rights_of_owner(entries, b"alice", ()) == {b"lookup", b"made-up"}
    assert rights_of_owner([], b"alice", ()) == ALL


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), None),
        ((b"owner lr", b"-owner l", b"user=bob lr", b"group=other lr"), None),
        ((b"anyone l",), "l"),
        ((b"anyone l", b"authenticated r"), "r"),
        ((b"authenticated r", b"group=staff l", b"group=crew r"), "lr"),
        ((b"group=staff lr", b"owner w", b"user=alice l"), "l"),
        ((b"user=alice lr", b"group-override=staff w"), "w"),
        ((b"-anyone r",), ""),
        ((b"-anyone r", b"user=alice lr"), "l"),
        ((b"-anyone r", b"-authenticated w", b"user=alice lrw"), "lr"),
        ((b"user=alice lr", b"*anyone l"), "l"),
        ((b"-user=alice r", b"*anyone lr"), "lr"),
        ((b"user=alice lr", b"*-anyone r"), "l"),
        ((b"user=alice lr", b"*owner l"), "lr"),
    ],
)
def test_rights_of_others(lines: tuple[bytes, ...], expected: str | None) -> None:
    entries = [parse_entry(line.removeprefix(b"*"), is_global=line.startswith(b"*")) for line in lines]
    found = rights_of_other(entries, b"alice", {b"staff", b"crew"})
    assert (None if found is None else "".join(sorted(LETTER_OF[name] for name in found))) == expected
