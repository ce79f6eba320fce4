"""Debian's package of this checkout: `python -m testing.packages dist` builds it there, as `make deb` does.

The sources are copied first, so that nothing is built, cleaned or left in the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dovecot_urlauth.admin.version import COMMIT_FILE, commit_of
from testing.executables import CHECKOUT, SOURCES, copy_sources

#: what the package holds besides
MORE_SOURCES = ("debian", "LICENSE", "README.md", "SECURITY.md", "PROTOCOL.md", "CONTRIBUTING.md", "CHANGELOG.md")

NAME = "dovecot-urlauth"


class BuildError(Exception):
    """The text is what dpkg-buildpackage said."""


def build(target: Path, version: str | None = None) -> Path:
    """Build the package into the folder `target`; `version` instead of the one in debian/changelog.

    Returns the .deb, beside which lie dpkg's .changes and .buildinfo.  Raises BuildError.
    """
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dovecot-urlauth-deb-") as folder:
        source = Path(folder) / NAME
        source.mkdir()
        copy_sources(source, (*SOURCES, *MORE_SOURCES))
        commit = commit_of(CHECKOUT)
        if commit:
            (source / COMMIT_FILE).write_text(commit + "\n")
        if version:
            changelog = source / "debian/changelog"
            first, rest = changelog.read_text().split("\n", 1)
            changelog.write_text(f"{NAME} ({version}) {first.partition(') ')[2]}\n{rest}")
        done = subprocess.run(
            ["dpkg-buildpackage", "--build=binary", "--no-sign"],
            cwd=source,
            env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise BuildError(done.stdout)
        made = {built.suffix: built.name for built in Path(folder).glob(f"{NAME}_*")}
        for name in made.values():
            shutil.move(Path(folder) / name, target / name)
    return target / made[".deb"]


def main(target: str) -> int:
    try:
        print(build(Path(target)))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
