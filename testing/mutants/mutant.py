"""One changed line, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

Rows = list[tuple[int, str, str, str, str] | tuple[int, str, str, str, str, str]]
"""Promise, what the mutant would let happen, file below dovecot_urlauth, text, the text in its place, and the
tests where the file's own are not meant."""


class AnchorLost(Exception):
    """The line that a mutant changes is not in the source, or is there twice."""


@dataclass(frozen=True)
class Mutant:
    """`line` stands in `file` exactly once."""

    name: str
    promise: int
    hole: str
    file: str
    line: str
    instead: str
    named: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file, from the checkout's root."""
        return Path("dovecot_urlauth") / self.file

    @property
    def tests(self) -> tuple[str, ...]:
        """What pytest is given: the tests of the file's own name, where no others are named."""
        if self.named:
            return self.named
        folder, stem = Path("tests") / Path(self.file).parent, Path(self.file).stem
        own = folder / f"test_{stem}.py"
        return (str(own if (CHECKOUT / own).exists() else folder),)

    @property
    def needs_dovecot(self) -> bool:
        """Whether only a real Dovecot can tell."""
        return any(test.startswith("tests/dovecot/") for test in self.tests)

    def apply(self, source: str) -> str:
        """The changed source. Raises AnchorLost."""
        found = source.count(self.line)
        if found != 1:
            raise AnchorLost(f"{self.name}: in {self.path} {found} times: {self.line!r}")
        return source.replace(self.line, self.instead)
