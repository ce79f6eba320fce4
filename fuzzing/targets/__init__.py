"""One target a file."""

from __future__ import annotations

from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in ("__init__", "pieces"))
"""All of them."""
