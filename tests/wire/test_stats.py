"""The stats-writer protocol, and what Dovecot's own three services were recorded to say over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.wire.stats import LINE_LIMIT, Event, FilterReceived, State, StatsWriter, with_parents
from tests.wire.feeding import outcome, same_in_pieces
from tests.wire.statsreading import Reported, conversations, read_events

HELLO = b"VERSION\tstats-server\t4\t0\n"
RECORDED = {"bookworm": DOVECOT_2_3_19, "trixie": DOVECOT_2_4_1, "sid": DOVECOT_2_4_2}


@pytest.fixture(params=RECORDED)
def version(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def make() -> tuple[Callable[[bytes], None], Callable[[], Any]]:
    writer = StatsWriter("imap-urlauth", 4)
    return writer.receive_data, writer.next_event


def test_the_opening_is_the_recorded_one(version: str) -> None:
    for talk in conversations(version):
        assert talk.said.startswith(StatsWriter(talk.service, 4).data_to_send())


def test_what_stats_says_is_understood(version: str) -> None:
    for talk in conversations(version):
        assert same_in_pieces(make, talk.heard) == ([FilterReceived('(event="*")')], None)


def test_a_filter_comes_again() -> None:
    said = HELLO + b'FILTER\t\nFILTER\t(event="a\x01tb")\nFILTER\n'
    assert same_in_pieces(make, said) == (
        [FilterReceived(""), FilterReceived('(event="a\tb")'), FilterReceived("")],
        None,
    )


def test_states() -> None:
    writer = StatsWriter("imap-urlauth", 4)
    seen = []
    for line in (b"", HELLO, b"FILTER\t\n"):
        writer.receive_data(line)
        writer.next_event()
        seen.append(writer.state)
    assert seen == [State.VERSION, State.FILTER, State.OPEN]


@pytest.mark.parametrize(
    "said",
    [b"VERSION\tstats-server\t5\t0\n", b"VERSION\tauth\t4\t0\n", b"\n", HELLO + b"\n", HELLO + b"EVENT\t0\n"],
)
def test_what_is_no_stats_process(said: bytes) -> None:
    assert isinstance(same_in_pieces(make, said)[1], ProtocolError)


def test_a_line_has_an_end() -> None:
    feed, take = make()
    assert isinstance(outcome(feed, take, [HELLO, b"FILTER\t" + b"x" * LINE_LIMIT])[1], ProtocolError)


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    events, error = same_in_pieces(make, HELLO + b"FILTER\ta\n" + garbage)
    assert events[0] == FilterReceived("a")
    assert error is not None or b"\n" not in garbage.replace(b"\nFILTER", b"")


def test_categories_are_told_once_and_behind_their_parents() -> None:
    writer = StatsWriter("imap-urlauth-worker", 4)
    writer.data_to_send()
    event = Event("mail_opened", ("mail", "service:imap-urlauth-worker"), {}, 1, 2)
    writer.report(event)
    told = writer.data_to_send().splitlines()
    assert told[:-1] == [b"CATEGORY\tstorage", b"CATEGORY\tmailbox\tstorage", b"CATEGORY\tmail\tmailbox"]
    writer.report(event)
    assert writer.data_to_send().splitlines() == told[-1:]
    assert with_parents(("mail", "dict")) == {"mail", "mailbox", "storage", "dict"}


def test_the_parents_are_the_recorded_ones(version: str) -> None:
    ours, theirs = StatsWriter("x", 4), b"".join(talk.said for talk in conversations(version))
    ours.report(Event("e", ("mail", "dict", "imap-urlauth", "auth-client"), {}, 1, 2))
    for line in ours.data_to_send().splitlines()[2:-1]:
        assert line + b"\n" in theirs


@given(
    st.text(max_size=20),
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20) | st.integers(-(2**40), 2**40)),
    st.floats(0, 2e9),
)
def test_what_is_reported_is_what_stats_reads(name: str, fields: dict[str, str | int], created: float) -> None:
    writer = StatsWriter("imap-urlauth", 4)
    writer.report(Event(name, ("imap-urlauth",), fields, created, created + 0.25))
    said = writer.data_to_send()
    assert said.count(b"\n") == 4
    [event] = read_events(said)
    clean = {key.encode(errors="replace").decode(): _clean(value) for key, value in fields.items()}
    assert (event.name, event.fields) == (_clean(name), clean)
    assert event.created == pytest.approx(created, abs=2e-6)
    assert event.sent - event.created == pytest.approx(0.25, abs=2e-6)


def test_major_version_3_has_no_global_event() -> None:
    writer = StatsWriter("imap-urlauth", 3)
    writer.report(Event("e", (), {"n": 5}, 1, 2))
    assert writer.data_to_send().splitlines() == [
        b"VERSION\tstats-client\t3\t0",
        b"CATEGORY\tservice:imap-urlauth",
        b"EVENT\t0\t0\t1\t0\tl2\t0\tne\tIn\t5",
    ]
    writer.receive_data(HELLO)
    with pytest.raises(ProtocolError, match="Not a stats process"):
        writer.next_event()


def _clean(value: str | int) -> str | int:
    return value if isinstance(value, int) else value.encode(errors="replace").decode()


# -- the dialects' words are the recorded ones


def reported(version: str, name: str) -> list[Reported]:
    """Every event of this name in the recorded session."""
    talks = conversations(version)
    return [event for talk in talks for event in read_events(talk.said) if event.name == name]


@pytest.fixture
def dialect(version: str) -> Dialect:
    return RECORDED[version]


def test_connections(version: str, dialect: Dialect) -> None:
    names = dialect.stats
    over = reported(version, "server_connection_disconnected")
    assert over
    for event in over:
        assert {"reason", "socket_path", "remote_pid", "remote_uid", *names.bytes_fields} <= event.fields.keys()
        assert ("remote_gid" in event.fields) is names.has_gid
    assert bool(reported(version, "client_connection_connected")) is names.passes_clients
    worker = [event for event in over if "auth-client" not in event.categories]
    assert bool(worker) is names.passes_clients


def test_questions_to_auth(version: str, dialect: Dialect) -> None:
    key, login, userdb = dialect.stats.service_field
    lookups = reported(version, "auth_client_userdb_lookup_finished")
    assert [event.fields["user"] for event in lookups][:2] == ["alice", "carol"]
    assert {event.fields[key] for event in lookups} == {userdb}
    logins = reported(version, "auth_client_request_finished")
    assert bool(logins) is (version != "bookworm")  # whose login dies before
    for event in logins:
        assert event.fields == event.fields | {key: login, "transport": dialect.stats.secured, "user": "bob"}
        assert event.fields.keys() == {key, "id", "mechanism", "transport", "session", "user"}


def test_mail(version: str, dialect: Dialect) -> None:
    names = dialect.stats
    opened = reported(version, "mail_opened")
    assert tuple(event.fields["reason"] for event in opened[:2]) == names.mail_reasons
    for event in opened:
        assert {"mail", "mailbox", "storage"} <= event.categories
        assert ("namespace" in event.fields) is names.has_namespace
    for event in reported(version, "dict_lookup_finished"):
        assert event.categories >= {"dict", "storage"}
        assert [event.fields[name] for name in names.dict_fields] == ["file"] * len(names.dict_fields)
    assert all(event.categories >= {"storage"} for event in reported(version, "mail_user_session_finished"))
