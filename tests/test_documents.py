"""What the documents name is there: files, links, and the test of each promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md")])

LINK = re.compile(r"\]\(([^)#:]+)\)")
TEST = re.compile(r"`(tests/[\w/]+(?:\.py)?)/?(?:::(\w+))?`")
MORE = re.compile(r"`::(\w+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


def test_each_promise_has_its_tests() -> None:
    promises = [
        line for line in (CHECKOUT / "SECURITY.md").read_text("utf-8").splitlines() if line.startswith("| ")
    ]
    numbered = [line for line in promises if line.split()[1].isdigit()]
    assert [int(line.split()[1]) for line in numbered] == list(range(1, len(numbered) + 1))
    for line in numbered:
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
