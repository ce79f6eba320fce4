"""The coverage gate's own judgement."""

from __future__ import annotations

import pytest

from testing.gate import Room, judge, read_rooms, report


@pytest.mark.parametrize(
    ("lines", "missed", "floor", "fault"),
    [
        (100, 0, 100, ""),
        (100, 1, 100, "BELOW"),
        (1000, 95, 90, ""),
        (1000, 101, 90, "BELOW"),
        (100, 5, 90, "its floor can"),
        (100, 0, None, "NO FLOOR"),
    ],
)
def test_a_room_and_its_floor(lines: int, missed: int, floor: float | None, fault: str) -> None:
    said = judge(Room(lines, ["x:1"] * missed), floor)
    assert said.startswith(fault)
    assert bool(said) == bool(fault)


def test_a_floor_without_a_room() -> None:
    assert judge(None, 100)


def test_files_are_counted_by_room() -> None:
    measured = {
        "files": {
            "dovecot_urlauth/__init__.py": {"executed_lines": [1], "missing_lines": []},
            "dovecot_urlauth/store/a.py": {"executed_lines": [1, 2], "missing_lines": [4]},
            "dovecot_urlauth/store/native/b.py": {"executed_lines": [], "missing_lines": [7, 9]},
        }
    }
    rooms = read_rooms(measured)
    assert {name: (room.lines, len(room.missing)) for name, room in rooms.items()} == {
        ".": (1, 0),
        "store": (5, 3),
    }
    assert rooms["store"].missing[-1] == "dovecot_urlauth/store/native/b.py:9"


def test_one_fault_is_a_failure_and_names_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    rooms = {"wire": Room(10, []), "url": Room(10, ["url/uri.py:7"])}
    assert report(rooms, {"wire": 100, "url": 90}) == 0
    assert report(rooms, {"wire": 50, "url": 50}) == 0
    assert report(rooms, {"wire": 100, "url": 100}) == 1
    assert "url/uri.py:7" in capsys.readouterr().out
