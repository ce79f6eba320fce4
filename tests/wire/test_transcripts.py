"""Replay of real sessions: our protocols understand every recorded byte, and would have said the same.

The recordings hold one session of each Dovecot with its stock binaries, among them a fetch of each kind, a
switch of the target user, an unknown user and a wrong token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from dovecot_urlauth.wire import handoff
from dovecot_urlauth.wire.authclient import AuthClient, AuthFail, AuthOk, Ready
from dovecot_urlauth.wire.authmaster import AuthMaster, NotFound, ServerHello, UserReply
from dovecot_urlauth.wire.control import (
    Access,
    Active,
    ControlClient,
    ControlOrder,
    ControlServer,
    Descriptors,
    Finished,
)
from dovecot_urlauth.wire.fetch import CommandReader, EndCommand, UrlCommand, UserCommand, no_line, ok_line
from dovecot_urlauth.wire.fetchreply import Accepted, Expect, Fetched, Refused, ReplyReader
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.wire.login import (
    FAILED,
    GREETING,
    AuthRequest,
    LoginProtocol,
    LoginRejected,
    VersionReceived,
    token_response,
)
from dovecot_urlauth.wire.tabescape import fields
from tests.wire.feeding import bytewise, outcome, same_in_pieces
from tests.wire.recording import Conversation, conversations


@dataclass(frozen=True)
class Version:
    """What the protocols must be told about a Dovecot version."""

    recording: str
    greeting: bytes
    auth_minor: int
    auth_parameters: tuple[bytes, ...]
    layout: handoff.HandoffLayout
    master_minor: int
    userdb_minor: int
    userdb_parameter: bytes
    order: ControlOrder


OLD_PARAMETERS = (b"service=imap-urlauth", b"secured")
NEW_PARAMETERS = (b"protocol=imap-urlauth", b"final-resp-ok", b"secured")
OLD_USERDB = b"service=imap-urlauth-worker"
OLD_LAYOUT, NEW_LAYOUT = handoff.LAYOUT_2_3, handoff.LAYOUT_2_4
FD_FIRST, VERSION_FIRST = ControlOrder.FD_FIRST, ControlOrder.VERSION_FIRST
VERSIONS = [
    Version("bullseye", b"", 2, OLD_PARAMETERS, OLD_LAYOUT, 1, 0, OLD_USERDB, FD_FIRST),
    Version("bookworm", b"", 2, OLD_PARAMETERS, OLD_LAYOUT, 1, 0, OLD_USERDB, FD_FIRST),
    Version("trixie", GREETING, 3, NEW_PARAMETERS, NEW_LAYOUT, 3, 3, b"protocol=imap", VERSION_FIRST),
    Version("sid", GREETING, 4, NEW_PARAMETERS, NEW_LAYOUT, 4, 4, b"protocol=imap", VERSION_FIRST),
]


@pytest.fixture(params=VERSIONS, ids=lambda version: version.recording)
def version(request: pytest.FixtureRequest) -> Version:
    chosen: Version = request.param
    return chosen


def talks(version: Version, process: str, what: str) -> list[Conversation]:
    """The recorded conversations of a process on a socket whose description ends so; never none."""
    found = [
        talk for talk in conversations(version.recording) if talk.process == process and talk.what.endswith(what)
    ]
    assert found
    return found


def login_requests(version: Version) -> dict[int, AuthRequest]:
    """What each login process was asked, by its pid."""
    asked = {}
    for talk in talks(version, "imap-urlauth-login", "on /run/imap-urlauth"):
        protocol = LoginProtocol()
        events, _ = outcome(protocol.receive_data, protocol.next_event, [talk.heard()])
        asked[talk.pid] = next(event for event in events if isinstance(event, AuthRequest))
    return asked


def test_login(version: Version) -> None:
    def make() -> tuple[Callable[..., Any], Callable[..., Any]]:
        protocol = LoginProtocol()
        return protocol.receive_data, protocol.next_event

    answers = set()
    for talk in talks(version, "imap-urlauth-login", "on /run/imap-urlauth"):
        events, error = same_in_pieces(make, talk.heard())
        assert error is None
        assert events[0] == VersionReceived()
        assert isinstance(events[1], AuthRequest)
        assert events[1].user == b"bob"
        answers.add(talk.said())
    assert answers == {version.greeting, version.greeting + FAILED}


def test_authclient(version: Version) -> None:
    requests = login_requests(version)
    outcomes = set()
    for talk in talks(version, "imap-urlauth-login", "to tokenlogin"):
        greeting, cpid, *lines = talk.said().splitlines(keepends=True)
        client = AuthClient(talk.pid, version.auth_minor, version.auth_parameters)
        assert client.data_to_send() == greeting + cpid
        for line in lines:
            session = next(field for field in fields(line[:-1]) if field.startswith(b"session="))[8:]
            client.request(session, token_response(requests[talk.pid]))
            assert client.data_to_send() == line
        events, error = outcome(client.receive_data, client.next_event, bytewise(talk.heard()))
        assert error is None
        assert isinstance(events[0], Ready)
        outcomes |= {type(event) for event in events[1:]}
        assert all(event.user == b"bob" for event in events if isinstance(event, AuthOk))
    assert outcomes == {AuthOk, AuthFail}


def test_handoff(version: Version) -> None:
    sent = talks(version, "imap-urlauth-login", "to imap-urlauth")
    for talk in sent:
        reader = handoff.HandoffReader(version.layout)
        message = talk.messages[0]
        reader.receive_data(message.data, list(message.fds))
        result = reader.next_event()
        assert result is not None
        given = result.handoff
        assert (result.fd,) == message.fds
        assert given.client_pid == talk.pid
        assert given.flags == version.layout.flags
        assert len(given.session) == 16
        assert handoff.pack(version.layout, given) == message.data
        reply = handoff.unpack_reply(talk.heard())
        assert (reply.tag, reply.status) == (given.tag, handoff.STATUS_OK)
        assert handoff.pack_reply(reply.tag, reply.status, reply.mail_pid) == talk.heard()
    received = talks(version, "imap-urlauth", "on /run/token-login/imap-urlauth")
    for talk in received:
        reader = handoff.HandoffReader(version.layout)
        for message in talk.messages:
            if not message.said:
                reader.receive_data(message.data, list(message.fds))
        assert reader.next_event() is not None
    assert len(received) == len(sent)


def test_authmaster(version: Version) -> None:
    for talk in talks(version, "imap-urlauth", "to /run/auth-master"):
        master = AuthMaster(version.master_minor)
        hello, request = talk.said().splitlines(keepends=True)
        assert master.data_to_send() == hello
        word, *parts = fields(request[:-1])
        request_id, client_pid, auth_id = (int(part) for part in parts[:3])
        assert word == b"REQUEST"
        master.request(request_id, client_pid, auth_id, bytes.fromhex(parts[3].decode()), talk.pid)
        assert master.data_to_send() == request
        events, error = outcome(master.receive_data, master.next_event, bytewise(talk.heard()))
        assert error is None
        assert isinstance(events[0], ServerHello)
        (reply,) = events[1:]
        assert isinstance(reply, UserReply)
        assert (reply.id, reply.name, reply.fields[b"client_service"]) == (request_id, b"bob", b"imap")


def test_userdb(version: Version) -> None:
    outcomes = set()
    for talk in talks(version, "imap-urlauth-worker", "to /run/auth-userdb"):
        master = AuthMaster(version.userdb_minor)
        hello, lookup = talk.said().splitlines(keepends=True)
        assert master.data_to_send() == hello
        _, request_id, name, *_ = fields(lookup)
        # 2.4.5 ends this one line with CR LF, which auth reads as LF.
        master.user_lookup(int(request_id), name, version.userdb_parameter)
        assert master.data_to_send() == lookup.replace(b"\r", b"")
        events, error = outcome(master.receive_data, master.next_event, bytewise(talk.heard()))
        assert error is None
        outcomes |= {type(event) for event in events[1:]}
        assert all(event.id == int(request_id) for event in events[1:])
    assert outcomes == {UserReply, NotFound}


def test_control_server(version: Version) -> None:
    finished = 0
    for talk in talks(version, "imap-urlauth-worker", "on /run/imap-urlauth-worker"):
        server = ControlServer(version.order, "")
        for message in talk.messages:
            if not message.said:
                server.receive_data(message.data, list(message.fds))
        (fds,) = [message.fds for message in talk.messages if message.fds]
        assert server.next_event() == Descriptors(fds[0], fds[0])
        assert server.next_event() == Access(b"bob", b"imap")
        assert server.next_event() is None
        assert server.surplus_fds() == ()
        said = server.data_to_send()
        assert talk.said().startswith(said)
        finished += talk.said()[len(said) :] == b"FINISHED\n"
    assert finished == 1


def test_control_client(version: Version) -> None:
    finished = 0
    for talk in talks(version, "imap-urlauth", "to /run/imap-urlauth-worker"):
        (fd,) = [message.fds[0] for message in talk.messages if message.fds]
        client = ControlClient(version.order, Access(b"bob", b"imap"), "")
        opening = client.opening(fd, fd)
        events, error = outcome(client.receive_data, client.next_event, bytewise(talk.heard()))
        assert error is None
        assert events[0] == Active()
        finished += events[1:] == [Finished()]
        ours = [(sent.data, () if sent.fd is None else (sent.fd,)) for sent in opening]
        ours.append((client.data_to_send(), ()))
        assert _in_one(ours) == _in_one([(message.data, message.fds) for message in talk.messages if message.said])
    assert finished == 1


def _in_one(pieces: Sequence[tuple[bytes, tuple[int, ...]]]) -> tuple[bytes, list[tuple[int, tuple[int, ...]]]]:
    """All bytes, and at which of them descriptors came: 2.3's is sent in fewer pieces by us."""
    said, descriptors = b"", []
    for data, fds in pieces:
        if fds:
            descriptors.append((len(said), fds))
        said += data
    return said, descriptors


def test_fetch(version: Version) -> None:
    """The worker's end; the answers are built again from what imap reads in them."""
    seen = set()
    for talk in talks(version, "imap-urlauth-worker", "fd passed in"):
        reader, replies = CommandReader(), ReplyReader()
        for message in talk.messages:
            if message.said:
                replies.receive_data(message.data)
                continue
            reader.receive_data(message.data)
            command = reader.next_event()
            seen.add(type(command))
            if isinstance(command, UserCommand):
                replies.expect(Expect.USER)
                reader.selected()
            elif isinstance(command, UrlCommand):
                replies.expect(Expect.URL)
        answers, error = outcome(replies.receive_data, replies.next_event, [b""])
        assert error is None
        assert b"".join(rebuilt(answer) for answer in answers) == talk.said()
        seen |= {type(answer) for answer in answers}
    assert seen == {UserCommand, UrlCommand, EndCommand, Accepted, Refused, Fetched}


def rebuilt(answer: Accepted | Refused | Fetched) -> bytes:
    if isinstance(answer, Accepted):
        return b"OK\n"
    if isinstance(answer, Refused):
        return no_line(answer.error)
    line = ok_line(len(answer.data), has_nuls=answer.has_nuls, structure=answer.structure)
    return line + answer.data + b"\n"


EXPECTED = {
    b"VERSION": Expect.VERSION,
    b"AUTH": Expect.AUTH,
    b"USER": Expect.USER,
    b"URL": Expect.URL,
    b"END": Expect.END,
}


def test_client(version: Version) -> None:
    """The whole conversation as imap had it, with three processes at the other end in turn."""
    seen: list[object] = []
    for talk in talks(version, "imap", "to /run/imap-urlauth"):
        replies = ReplyReader()
        for message in talk.messages:
            if not message.said:
                replies.receive_data(message.data)
                continue
            for line in message.data.splitlines():
                command = EXPECTED[fields(line)[0]]
                if command is not Expect.VERSION or version.greeting:
                    replies.expect(command)
        answers, error = outcome(replies.receive_data, replies.next_event, [b""])
        assert error is None
        seen += answers
    expected = [Accepted(Expect.AUTH), Accepted(Expect.USER), Refused(Expect.USER, None)]
    if not version.greeting:  # 2.4's stock worker shuts imap's socket down at END
        expected.append(Accepted(Expect.END))
    assert [reply for reply in expected if reply not in seen] == []


def test_wrong_order_is_refused(version: Version) -> None:
    """AUTH before VERSION, from the recorded lines themselves."""
    (talk, *_) = talks(version, "imap-urlauth-login", "on /run/imap-urlauth")
    first, second = talk.heard().splitlines(keepends=True)
    protocol = LoginProtocol()
    protocol.receive_data(second + first)
    with pytest.raises(LoginRejected) as raised:
        protocol.next_event()
    assert isinstance(raised.value, ProtocolError)
    assert raised.value.reason == "Version mismatch"
