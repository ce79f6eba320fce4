"""The stats process's end: what its client's lines say of each event, with what the event has from its parents."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

from dovecot_urlauth.wire.tabescape import fields

FOLDER = Path(__file__).parents[1] / "recordings"


@dataclass(frozen=True)
class Reported:
    """An event as stats counts it."""

    name: str
    categories: frozenset[str]
    fields: dict[str, str | int]
    created: float
    sent: float


@dataclass
class Conversation:
    """One process's connection to stats."""

    service: str
    said: bytes
    heard: bytes


def conversations(version: str) -> list[Conversation]:
    """What Dovecot's own services said and heard in a recorded session."""
    text = lzma.decompress((FOLDER / f"stats-{version}.txt.xz").read_bytes())
    found = []
    for block in text.strip().split(b"\n\n"):
        head, *lines = block.split(b"\n")
        said, heard = (
            b"".join(line[3:] + b"\n" for line in lines if line.startswith(way)) for way in (b"->", b"<-")
        )
        found.append(Conversation(head.split(b"[")[0].decode(), said, heard))
    return found


def read_events(said: bytes) -> list[Reported]:
    """The events in order; asserts that stats would take every line (stats/client-writer.c)."""
    known: dict[str, str | None] = {}
    begun: dict[str, Reported] = {"0": Reported("", frozenset(), {}, 0, 0)}
    events = []
    first, *lines = said.splitlines()
    assert first == b"VERSION\tstats-client\t4\t0"
    for line in lines:
        word, *rest = [field.decode() for field in fields(line)]
        if word == "CATEGORY":
            name, parent = rest[0], rest[1] if len(rest) > 1 else None
            assert parent is None or parent in known
            assert known.setdefault(name, parent) == parent
        elif word == "END":
            del begun[rest[0]]
        else:
            number, parent, *rest = rest
            event = _read(begun[parent], rest if word == "UPDATE" else rest[1:], known)
            if word == "EVENT":
                assert number in begun
                events.append(event)
            else:
                assert word in ("BEGIN", "UPDATE")
                assert (number in begun) is (word == "UPDATE")
                begun[number] = event
    return events


def _read(parent: Reported, parts: list[str], known: dict[str, str | None]) -> Reported:
    """(lib/lib-event.c, event_import)"""
    created = int(parts[0]) + int(parts[1]) / 1e6
    name, sent, categories, values = "", 0.0, set(parent.categories), dict(parent.fields)
    at = 2
    while at < len(parts):
        code, text = parts[at][0], parts[at][1:]
        at += 1
        if code == "n":
            name = text
        elif code == "c":
            above: str | None = text
            while above is not None:
                categories.add(above)
                above = known[above]
        elif code == "L":
            at += 1 + int(parts[at])
        elif code in "slT":
            sent = int(text) + int(parts[at]) / 1e6 if code == "l" else sent
            at += 2 if code == "T" else 1
        else:
            assert code in "SI"
            values[text] = int(parts[at]) if code == "I" else parts[at]
            at += 1
    return Reported(name, frozenset(categories), values, created, sent)
