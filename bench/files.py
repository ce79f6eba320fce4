"""The results as files: JSON with every sample, and the chart."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from bench.chart import chart

if TYPE_CHECKING:
    from pathlib import Path

    from bench.result import Results


def write_files(results: Results, machine: dict[str, object], folder: Path) -> list[Path]:
    """Write NAME.json and NAME.svg into `folder`; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    name = results.version.name
    files = {
        folder / f"{name}.json": json.dumps(as_json(results, machine), indent=1),
        folder / f"{name}.svg": chart(f"Dovecot {results.version.dovecot}", results.lines),
    }
    for path, text in files.items():
        path.write_text(text + "\n")
    return list(files)


def as_json(results: Results, machine: dict[str, object]) -> dict[str, object]:
    """Everything that was measured, for programs."""
    return {
        "dovecot": results.version.dovecot,
        "version": results.version.name,
        "started": results.started,
        "machine": machine,
        "lines": [{**asdict(line), "reached": line.reached} for line in results.lines],
        "start_up": [asdict(start_up) for start_up in results.start_ups],
        "skipped": results.skipped,
        "samples": results.samples,
    }
