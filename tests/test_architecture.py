"""No import runs upwards: the table of docs/ARCHITECTURE.md, read from the sources."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "dovecot_urlauth"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("start",),
    ("wire", "url", "message"),
    ("dialect",),
    ("service",),
    ("config",),
    ("store",),
    ("login", "broker", "worker", "admin"),
)


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def rooms_used(source: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dovecot_urlauth."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("dovecot_urlauth.")}
    return found


@pytest.mark.parametrize("room", [room for rooms in FLOORS for room in rooms])
def test_imports_run_downwards(room: str) -> None:
    sources = sorted((PACKAGE / room).rglob("*.py"))
    assert sources
    for source in sources:
        for used in rooms_used(source) - {room}:
            assert floor_of(used) < floor_of(room), f"{source.relative_to(CHECKOUT)} uses {used}"


def test_every_room_has_a_floor_and_a_line_in_the_document() -> None:
    document = (CHECKOUT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == {room for floor in FLOORS for room in floor}
    assert [
        room for room in sorted(rooms) if f"    {room}/" not in document and f"  {room}/" not in document
    ] == []
    for number, floor in enumerate(FLOORS, 1):
        assert f"| {number} | {', '.join(f'`{room}`' for room in floor)} |" in document
