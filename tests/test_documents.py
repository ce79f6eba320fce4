"""What the documents name is there: files, links, and the test of each promise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md")])

LINK = re.compile(r"(?<!\w)\[[^\]]*\]\(([^)#:]+)\)")
"""Not a line of the log: ``imap-urlauth[4711](bob)``."""
TEST = re.compile(r"`(tests/[\w/]+(?:\.py)?)/?(?:::(\w+))?`")
MORE = re.compile(r"`::(\w+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(document: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.M | re.S)
    for target in LINK.findall(prose):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", ["SECURITY.md", "docs/TRUST.md"])
def test_each_promise_has_its_tests(document: str) -> None:
    promises = [
        line for line in (CHECKOUT / document).read_text("utf-8").splitlines() if re.match(r"\| \d+ \|", line)
    ]
    assert [int(line.split()[1]) for line in promises] == list(range(1, len(promises) + 1))
    assert promises
    for line in promises:
        named = TEST.findall(line)
        assert named, line
        sources = [CHECKOUT / path for path, _ in named]
        assert all(path.exists() for path in sources), line
        for path, name in named:
            assert not name or f"def {name}(" in (CHECKOUT / path).read_text("utf-8"), f"{path}::{name}"
        text = "".join(path.read_text("utf-8") for path in sources if path.is_file())
        for name in MORE.findall(line):
            assert f"def {name}(" in text, name


def test_nothing_points_out_of_the_repository() -> None:
    """No source cites a file beside the checkout."""
    outside = re.compile(r"\.\./shared|dossier/|\bDESIGN\b")
    for folder in ("dovecot_urlauth", "testing", "tests", "bench", "docs"):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".toml") and path != Path(__file__):
                assert not outside.search(path.read_text("utf-8")), path


SERVICES = ("broker", "config", "dialect", "login", "service", "store", "worker")
LOGGING = ("error", "warning", "fatal", "_error", "_give_up")
VARIES = "…"


def written(node: ast.expr) -> str:
    """What a log call says, with a sign for what varies; only that sign if nothing else is known."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(written(value) for value in node.values)
    if isinstance(node, ast.BinOp):
        return written(node.left) + written(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_line":
        return written(node.args[0])  # login's line format stands around it
    return VARIES


def logged(source: Path) -> Iterator[str]:
    """Each Warning, Error and Fatal that the source writes in words of its own."""
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Call) and node.args:
            called = node.func
            writes = isinstance(called, ast.Attribute) and called.attr in LOGGING
            if writes or (isinstance(called, ast.Name) and called.id == "Fatal"):
                text = written(node.args[0])
                if text.strip(VARIES):
                    yield text


def test_each_log_line_has_its_row_in_troubleshooting() -> None:
    """A new Warning, Error or Fatal needs a row that says its cause and what to do; a row needs its line."""
    document = (CHECKOUT / "docs/TROUBLESHOOTING.md").read_text("utf-8").partition("\n## imap-urlauth-login\n")[2]
    rows = re.findall(r"^\| `([^`]+)` \| .+ \| .+ \|$", document, re.M)
    sources = [source for room in SERVICES for source in (CHECKOUT / "dovecot_urlauth" / room).rglob("*.py")]
    lines = {text for source in sources for text in logged(source)}
    assert len(lines) > 30
    assert sorted(lines - set(rows)) == []
    assert sorted(set(rows) - lines) == []
    assert len(rows) == len(set(rows))
