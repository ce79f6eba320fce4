"""The client arithmetic, against what Dovecot's own processes were seen to report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.service.slots import ClientSlots

NEVER_AGAIN = 0xFFFFFFFF


def replay(slots: ClientSlots, steps: str) -> list[int]:
    """``+`` takes a client, ``-`` gives one back; the status after each step."""
    reported = []
    for step in steps:
        if step == "+":
            slots.take()
        else:
            slots.release()
        reported.append(slots.status)
    return reported


@pytest.mark.parametrize(
    ("client_limit", "service_count", "exhausted", "steps", "reported", "finished"),
    [
        pytest.param(1, 1, 0, "+-", [0, 0], True, id="stock defaults of 2.3"),
        pytest.param(1, 1, NEVER_AGAIN, "+-", [NEVER_AGAIN, NEVER_AGAIN], True, id="stock defaults of 2.4.5"),
        pytest.param(3, None, 0, "++-+-", [2, 1, 2, 1, 2], False, id="unlimited service_count"),
        pytest.param(2, 3, 0, "++--", [1, 0, 1, 1], False, id="a finite life shrinks at its end"),
        pytest.param(2, 3, 0, "++--+-", [1, 0, 1, 1, 0, 0], True, id="and then is over"),
        pytest.param(5, 2, NEVER_AGAIN, "++", [1, NEVER_AGAIN], False, id="service_count below client_limit"),
        pytest.param(1, None, NEVER_AGAIN, "+-", [0, 1], False, id="full but not for ever"),
    ],
)
def test_status(
    client_limit: int, service_count: int | None, exhausted: int, steps: str, reported: list[int], finished: bool
) -> None:
    slots = ClientSlots(client_limit, service_count, exhausted)
    assert replay(slots, steps) == reported
    assert slots.finished is finished


@given(st.integers(1, 20), st.none() | st.integers(1, 20), st.lists(st.booleans(), max_size=60))
def test_never_reports_more_than_the_limit_and_serves_exactly_service_count(
    limit: int, count: int | None, takes: list[bool]
) -> None:
    """Whatever clients do, 0 <= available <= client_limit, and no client beyond service_count is taken."""
    slots = ClientSlots(limit, count, NEVER_AGAIN)
    open_clients = served = 0
    for take in takes:
        if take and slots.available:
            slots.take()
            open_clients += 1
            served += 1
        elif not take and open_clients:
            slots.release()
            open_clients -= 1
        assert 0 <= slots.available <= limit
        assert slots.clients == open_clients
        assert count is None or served <= count
        assert slots.finished == (count is not None and served == count and not open_clients)


def test_taking_without_a_slot_is_a_defect() -> None:
    slots = ClientSlots(1, None, 0)
    slots.take()
    with pytest.raises(AssertionError):
        slots.take()
