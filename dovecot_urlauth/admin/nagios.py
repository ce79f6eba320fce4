"""One line and an exit status as Nagios and its kin take them (Monitoring Plugins' development guidelines)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from dovecot_urlauth.admin.findings import Finding, Level

LONGEST = 400
"""Characters of a text; what follows is for the log and for `check` by hand."""


class Health(Enum):
    """The four states; the value is the word in the line, its place the exit status."""

    OK = "OK"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
    UNKNOWN = "UNKNOWN"

    @property
    def status(self) -> int:
        return list(Health).index(self)


def one_line(health: Health, text: str, data: Mapping[str, object]) -> str:
    """``URLAUTH OK - text | name=value ...``; a bar or the end of a line in ``text`` would end it."""
    cleaned = " ".join(text.replace("|", "/").split())
    if len(cleaned) > LONGEST:
        cleaned = cleaned[:LONGEST] + "..."
    performance = " ".join(f"{name}={value}" for name, value in data.items())
    return f"URLAUTH {health.value} - {cleaned}" + (f" | {performance}" if performance else "")


def state_of(findings: Sequence[Finding]) -> tuple[Health, str]:
    """The worst of the findings in words: what fails is critical, what should be seen to a warning."""
    for level, health in ((Level.FAIL, Health.CRITICAL), (Level.WARN, Health.WARNING)):
        texts = [finding.text for finding in findings if finding.level is level]
        if texts:
            more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
            return health, texts[0] + more
    good, notes = (sum(finding.level is level for finding in findings) for level in (Level.OK, Level.NOTE))
    more = f"; notes: {notes}, see 'dovecot-urlauth check'" if notes else ""
    return Health.OK, f"{good} checks, all is well{more}"
