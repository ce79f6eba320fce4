"""One interface for every protocol: the same names, a state that is an Enum, one base class for refusals."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dovecot_urlauth.wire
from dovecot_urlauth.start.frozen import Enum
from dovecot_urlauth.wire.authclient import AuthClient
from dovecot_urlauth.wire.authmaster import AuthMaster
from dovecot_urlauth.wire.config_text import ConfigReply
from dovecot_urlauth.wire.control import Access, ControlClient, ControlOrder, ControlServer
from dovecot_urlauth.wire.dictclient import DictClient
from dovecot_urlauth.wire.fetch import CommandReader
from dovecot_urlauth.wire.fetchreply import ReplyReader
from dovecot_urlauth.wire.handoff import LAYOUT_2_4, HandoffReader
from dovecot_urlauth.wire.imapdialogue import ImapDialogue
from dovecot_urlauth.wire.imaplogin import Credentials, ImapLogin
from dovecot_urlauth.wire.lines import LineProtocol, ProtocolError
from dovecot_urlauth.wire.login import LoginProtocol
from dovecot_urlauth.wire.stats import StatsWriter

ROOM = Path(dovecot_urlauth.wire.__file__).parent
MODULES = [importlib.import_module(f"dovecot_urlauth.wire.{path.stem}") for path in ROOM.glob("[!_]*.py")]
CLASSES = {
    value
    for module in MODULES
    for value in vars(module).values()
    if inspect.isclass(value) and value.__module__ == module.__name__
}

MADE: dict[type, Callable[[], Any]] = {
    AuthClient: lambda: AuthClient(1, 4, ()),
    AuthMaster: lambda: AuthMaster(4),
    ConfigReply: ConfigReply,
    ControlServer: lambda: ControlServer(ControlOrder.FD_FIRST, ""),
    ControlClient: lambda: ControlClient(ControlOrder.FD_FIRST, Access(b"bob", b"imap"), ""),
    CommandReader: CommandReader,
    ReplyReader: ReplyReader,
    DictClient: lambda: DictClient(3, b"attributes", b"bob"),
    HandoffReader: lambda: HandoffReader(LAYOUT_2_4),
    ImapDialogue: ImapDialogue,
    ImapLogin: lambda: ImapLogin(Credentials(b"alice", b"master", b"secret")),
    LoginProtocol: LoginProtocol,
    StatsWriter: lambda: StatsWriter("imap-urlauth", 4),
}
INTERFACE = {"receive_data", "receive_eof", "next_event", "data_to_send", "surplus", "surplus_fds"}


def test_all_protocols_are_looked_at() -> None:
    assert {cls for cls in CLASSES if hasattr(cls, "receive_data")} - {LineProtocol} == set(MADE)


@pytest.mark.parametrize("make", MADE.values(), ids=lambda make: type(make()).__name__)
def test_a_protocol_begins_in_a_state_with_nothing_to_report(make: Callable[[], Any]) -> None:
    protocol = make()
    assert isinstance(protocol.state, Enum)
    protocol.receive_data(b"")
    assert protocol.next_event() is None


@pytest.mark.parametrize("cls", MADE)
def test_lines_are_read_by_the_common_base(cls: type) -> None:
    """What else a class can do is a command that it gives, never another way in or out for bytes."""
    own = {name for name in vars(cls) if not name.startswith("_")} - INTERFACE
    lookups = {"lookup", "user_lookup", "pass_lookup"}
    given = {"request", "cancel", "pending", "opening", "selected", "expect", "encrypted", "report"}
    assert own <= given | lookups
    taken = {name for name in ("feed", "read", "take", "rest", "unread", "next_command") if hasattr(cls, name)}
    assert taken == set()


def test_there_is_one_kind_of_refusal() -> None:
    errors = {cls for cls in CLASSES if issubclass(cls, Exception)}
    assert len(errors) > 3
    assert all(issubclass(error, ProtocolError) for error in errors)


@pytest.mark.parametrize("order", list(ControlOrder))
def test_what_is_due_is_said_once(order: ControlOrder) -> None:
    server = ControlServer(order, "")
    first = server.data_to_send()
    assert bool(first) is (order is ControlOrder.VERSION_FIRST)
    assert server.data_to_send() == b""


@pytest.mark.parametrize("make", [AuthClient, AuthMaster, CommandReader, LoginProtocol, StatsWriter])
def test_the_peer_may_leave_these_at_any_time(make: type) -> None:
    protocol = MADE[make]()
    protocol.receive_data(b"half a li")
    protocol.receive_eof()
    assert protocol.next_event() is None
