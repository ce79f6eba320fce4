"""Does Dovecot's configuration name an installation?  Whoever takes its files away asks this first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovecot_urlauth.admin.doveconf import Configuration

PLACES = ("libexec/dovecot-urlauth/", "share/dovecot-urlauth/")
"""What a configuration may name of an installation, below its PREFIX."""

ENDINGS = (".conf", ".conf.ext")
"""Of files that Debian's configuration includes, or an administrator's does."""

KERNELS = ("/proc", "/sys", "/dev")

MOST_BYTES = 1 << 20
"""No file of a configuration is longer."""


def who_names(prefix: str, file: str, configuration: Configuration | None) -> list[str]:
    """The services that run the installation in ``prefix``, and the lines that name it, each fit to be read.

    The lines are those of all files beside and below ``file``; they are looked at as well since an included file
    that is missing keeps Dovecot from starting, and since a configuration may not parse (``configuration`` None).
    """
    places = tuple(f"{prefix.rstrip('/')}/{place}" for place in PLACES)
    services = configuration.everything.blocks.items() if configuration else ()
    named = [
        f"{header} runs {block.get('executable')}"
        for header, block in services
        if header.startswith("service ") and block.get("executable").startswith(places)
    ]
    return named + list(_lines(Path(file).parent, places))


def _lines(folder: Path, places: tuple[str, ...]) -> Iterator[str]:
    for path in sorted(_files(folder)):
        try:
            with path.open("rb") as opened:
                text = opened.read(MOST_BYTES).decode(errors="replace")
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            said = line.partition("#")[0].strip()
            if any(place in said for place in places):
                yield f"{path}:{number}: {said}"


def _files(folder: Path) -> Iterator[Path]:
    """Of a configuration; 2.4 keeps what it parsed as dovecot.conf.binary.

    A dovecot.conf may lie in ``/``, whose kernel's folders hold none; what goes away meanwhile is passed over.
    """
    for path, folders, names in os.walk(folder):
        found = (Path(path, name) for name in names if name.endswith(ENDINGS))
        yield from (one for one in found if one.is_file())  # opening a pipe would wait
        folders[:] = [name for name in folders if os.path.join(path, name) not in KERNELS]
