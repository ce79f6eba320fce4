"""`python -m fuzzing.run <target> [libFuzzer's options] [files]`: one target in this process."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

from fuzzing.targets import NAMES

FOLDER = Path(__file__).resolve().parents[1] / ".fuzzing"
LONGEST = 4096
"""Bytes of one input."""


def main(arguments: list[str]) -> None:
    name, *options = arguments
    if name not in NAMES:
        sys.exit(f"no target: {name}")
    files = [option for option in options if not option.startswith("-")]
    if files:
        target = importlib.import_module(f"fuzzing.targets.{name}")
        for file in files:
            target.check(Path(file).read_bytes())
        return
    import atheris

    with atheris.instrument_imports(include=["dovecot_urlauth"]):
        target = importlib.import_module(f"fuzzing.targets.{name}")
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed[:LONGEST])
    settings = [
        f"-max_len={LONGEST}",
        "-timeout=20",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        f"-artifact_prefix={FOLDER}/{name}-",
    ]
    atheris.Setup([sys.argv[0], *settings, *options, str(corpus)], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
