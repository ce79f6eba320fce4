"""PROTOCOL.md describes the code: its states, its limits and its events are those of the modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.wire import authclient, authmaster, control, fetch, handoff, login, logrecord, readable, stats
from dovecot_urlauth.wire.tabescape import escape

DOCUMENT = (Path(__file__).resolve().parents[2] / "PROTOCOL.md").read_text("utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in DOCUMENT.split("\n## ")[1:]}

STATES = [
    ("Login", login.State),
    ("Auth client", authclient.State),
    ("Hand-off", handoff.State),
    ("Auth master", authmaster.State),
    ("Control", control.ServerState),
    ("Control", control.ClientState),
    ("Fetch", fetch.State),
    ("Stats", stats.State),
]
LIMITS = [
    ("Letters", readable.QUOTED_BYTES),
    ("Login", login.LINE_LIMIT),
    ("Auth client", authclient.LINE_LIMIT),
    ("Hand-off", handoff.DATA_LIMIT),
    ("Hand-off", handoff.size(handoff.LAYOUT_2_3)),
    ("Hand-off", handoff.size(handoff.LAYOUT_2_4)),
    ("Auth master", authmaster.LINE_LIMIT),
    ("Auth master", authmaster.REQUEST_LIMIT),
    ("Control", control.LINE_LIMIT),
    ("Fetch", fetch.LINE_LIMIT),
    ("Stats", stats.LINE_LIMIT),
    ("Log", logrecord.RECORD_LIMIT),
]
EVENTS = [
    ("Login", (login.VersionReceived, login.AuthRequest)),
    ("Auth client", (authclient.Ready, authclient.AuthOk, authclient.AuthFail)),
    ("Auth master", (authmaster.ServerHello, authmaster.UserReply, authmaster.NotFound, authmaster.Failed)),
    ("Control", (control.Descriptors, control.Access, control.Active, control.Finished, control.Disconnected)),
    ("Fetch", (fetch.UserCommand, fetch.UrlCommand, fetch.EndCommand)),
    ("Stats", (stats.FilterReceived,)),
]


@pytest.mark.parametrize(("section", "states"), STATES)
def test_every_state_is_described(section: str, states: Any) -> None:
    assert [state.name for state in states if state.name not in SECTIONS[section]] == []


@pytest.mark.parametrize(("section", "limit"), LIMITS)
def test_every_limit_is_given(section: str, limit: int) -> None:
    words = SECTIONS[section].replace(",", " ").split()
    assert str(limit) in words or f"({limit}" in words


@pytest.mark.parametrize(("section", "events"), EVENTS)
def test_every_event_is_named(section: str, events: tuple[type, ...]) -> None:
    assert [event.__name__ for event in events if event.__name__ not in SECTIONS[section]] == []


def test_escapes() -> None:
    """The table of letters is the one that the code writes."""
    row = next(line for line in SECTIONS["Letters"].splitlines() if line.startswith("| written"))
    letters = [escape(bytes([byte]))[1:].decode() for byte in b"\0\x01\t\r\n"]
    assert row == "| written | " + " | ".join(f"01 `{letter}`" for letter in letters) + " |"


def dialogue(section: str) -> list[tuple[str, bytes]]:
    """Who says which line in the section's examples, as bytes."""
    spoken = [line for line in SECTIONS[section].splitlines() if line[:2] in ("→ ", "← ")]
    return [(line[0], line[2:].split("  ")[0].rstrip().replace("⇥", "\t").encode() + b"\n") for line in spoken]


def test_the_dialogue_of_login_is_accepted() -> None:
    protocol = login.LoginProtocol()
    protocol.receive_data(b"".join(line for who, line in dialogue("Login") if who == "←"))
    assert protocol.next_event() == login.VersionReceived()
    assert isinstance(protocol.next_event(), login.AuthRequest)


def test_the_dialogue_of_the_auth_client_is_accepted() -> None:
    client = authclient.AuthClient(6221, 4, (b"protocol=imap-urlauth", b"final-resp-ok", b"secured"))
    assert [line for who, line in dialogue("Auth client") if who == "→"][:2] == [
        line + b"\n" for line in client.data_to_send().split(b"\n")[:-1]
    ]
    client.request(b"", b"")
    client.receive_data(b"".join(line for who, line in dialogue("Auth client") if who == "←"))
    assert client.next_event() == authclient.Ready(6204, bytes.fromhex("957fa8fd44d2bcaa4e79fb08d01f0278"))
    assert client.next_event() == authclient.AuthOk(1, b"bob", {b"user": b"bob"})


def test_the_dialogue_of_the_auth_master_is_accepted() -> None:
    master = authmaster.AuthMaster(4)
    spoken = dialogue("Auth master")
    assert spoken[0] == ("→", master.data_to_send())
    master.user_lookup(1, b"alice", b"protocol=imap")
    assert ("→", master.data_to_send()) in spoken
    master.receive_data(b"".join(line for who, line in spoken if who == "←"))
    names = []
    while (event := master.next_event()) is not None:
        if isinstance(event, authmaster.UserReply):
            names.append(event.name)
    assert names == [b"bob", b"alice"]


@pytest.mark.parametrize("order", list(control.ControlOrder))
def test_the_dialogues_of_control_are_accepted(order: control.ControlOrder) -> None:
    spoken = dialogue("Control")
    start = (
        0 if order is control.ControlOrder.FD_FIRST else 1 + [line for _, line in spoken].index(control.FINISHED)
    )
    spoken = spoken[start:]
    spoken = spoken[: [line for _, line in spoken].index(control.FINISHED)]
    server = control.ControlServer(order, "")
    for who, line in spoken:
        if who == "→":
            server.receive_data(b"0" if line == b"0\n" else line, [9] if line == b"0\n" else [])
    assert server.next_event() == control.Descriptors(9, 9)
    assert isinstance(server.next_event(), control.Access)
    assert server.data_to_send() == b"".join(line for who, line in spoken if who == "←")
