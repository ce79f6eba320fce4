"""Every line that a mutant takes away is there, once; SECURITY.md says which mutants belong to a promise."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from testing.mutants import table
from testing.mutants.mutant import AnchorLost, Mutant

CHECKOUT = Path(__file__).resolve().parents[1]
MUTANTS = table()
PROMISE = re.compile(r"\| (\d+) \| .* \| ([^|]*) \|")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.name}-{mutant.file}")
def test_the_line_is_there_once_and_the_mutant_is_python(mutant: Mutant) -> None:
    source = (CHECKOUT / mutant.path).read_text()
    changed = mutant.apply(source)
    assert changed != source
    ast.parse(changed)
    for test in mutant.tests:
        assert (CHECKOUT / test.partition("::")[0]).exists()


def test_a_line_that_is_gone_is_an_error() -> None:
    mutant = Mutant("1.1", 1, "a hole", "a.py", "if forbidden:", "if False:")
    assert mutant.apply("if forbidden: pass") == "if False: pass"
    for source in ("", "if forbidden: pass\nif forbidden: pass"):
        with pytest.raises(AnchorLost, match=r"1\.1"):
            mutant.apply(source)


def test_the_document_names_the_mutants_of_each_promise() -> None:
    lines = (CHECKOUT / "SECURITY.md").read_text().splitlines()
    said = {int(found[1]): found[2] for found in map(PROMISE.fullmatch, lines) if found}
    counts = {promise: sum(mutant.promise == promise for mutant in MUTANTS) for promise in said}
    assert sum(counts.values()) == len(MUTANTS)
    assert said == {promise: _range(promise, count) for promise, count in counts.items()}


def test_the_rows_that_a_sentence_names_have_mutants() -> None:
    """docs/TRUST.md: what good systems promise, and the promises of ours that stand for it."""
    tried = {mutant.promise for mutant in MUTANTS}
    lines = (CHECKOUT / "docs" / "TRUST.md").read_text().splitlines()
    rows = [found[2] for found in map(PROMISE.fullmatch, lines) if found]
    assert len(rows) == 31
    assert {int(number) for row in rows if row != "-" for number in row.split(", ")} <= tried


def _range(promise: int, count: int) -> str:
    last = f"{promise}.{count}"
    return {0: "-", 1: last}.get(count, f"{promise}.1 to {last}")
