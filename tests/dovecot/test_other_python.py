"""A Python that we were not installed for, or not CPython as we know it: slower, without titles, but it works."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from testing.executables import Installation
from testing.instance import DovecotInstance
from testing.scene import MESSAGE, Scene
from testing.versions import ALL_OURS, PIECES, Version
from tests.dovecot.conftest import Installations
from tests.start import hiding

ROOMS = dict(zip(PIECES, ("login", "broker", "worker"), strict=True))
STARTER = """\
#!/usr/bin/python3 -IBS
{before}
import sys
sys.path.insert(0, "{library}")
from dovecot_urlauth.{room}.main import main
sys.exit(main(sys.argv))
"""
HIDE = (
    Path(hiding.__file__).read_text().replace("from __future__ import annotations\n", "")
    + "\nbuiltins.__import__ = import_public\n"
)


def with_copy(version: Version, ours: Installation, before: str = "") -> tuple[DovecotInstance, Path]:
    """An instance that runs a copy of our library, and the copy; ``before`` runs first in each process."""
    dovecot = DovecotInstance(version, ALL_OURS, ours)
    library = dovecot.folder / "library"
    shutil.copytree(ours.outside / "lib/dovecot-urlauth", library)
    for name, room in ROOMS.items():
        starter = dovecot.folder / name
        starter.write_text(STARTER.format(before=before, library=dovecot.inside / "library", room=room))
        starter.chmod(0o755)
        dovecot.extra += f"service {name} {{\n  executable = {dovecot.inside}/{name}\n}}\n"
    return dovecot, library


def fetches(dovecot: DovecotInstance) -> None:
    with Scene(dovecot) as scene:
        assert scene.user("bob").fetch_url(scene.sign(scene.store())) == MESSAGE


def test_without_cpython_s_private_modules(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    dovecot, _ = with_copy(version, installations[version], HIDE)
    starter(dovecot)
    fetches(dovecot)
    assert not [line for line in dovecot.log.lines() if "Unexpected" in line or "Traceback" in line]


def test_with_a_title_library_for_another_python(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    dovecot, library = with_copy(version, installations[version])
    [binary] = (library / "setproctitle").glob("_setproctitle.cpython-*.so")
    binary.rename(binary.with_name("_setproctitle.cpython-23-x86_64-linux-gnu.so"))
    expected = "Process titles are not set: setproctitle is installed for Python 2.3, this is 3."
    starter(dovecot, expected)
    fetches(dovecot)
    warnings = [line for line in dovecot.log.lines() if expected in line]
    assert {name for name in PIECES if any(f" {name}: Warning: " in line for line in warnings)} == set(PIECES)
    assert all(line.endswith(": run make install again") for line in warnings)
