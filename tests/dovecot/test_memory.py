"""What a forked child has to copy of its parent's memory, with each version's own Python."""

from __future__ import annotations

import subprocess

from testing.versions import Version
from tests.dovecot.conftest import Installations

PROGRAM = """
import gc, os, resource, sys
sys.path.insert(0, {library!r})
from dovecot_urlauth.start.immortal import CountUnknown, immortalize, lasting_objects
from dovecot_urlauth.worker import main, preload
for name in preload.MODULES:
    __import__(name)

try:
    print(immortalize() > 10_000, flush=True)
except CountUnknown as unknown:
    print(unknown, flush=True)
    gc.freeze()
things = lasting_objects(gc.get_referents(*sys.modules.values()), with_constants=sys.version_info < (3, 14))
used = [None] * len(things)
pid = os.fork()
if not pid:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    used[:] = things.values()
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    print("many" if pages > 500 else "few" if pages < 150 else pages, flush=True)
    sys.exit()
print(os.waitpid(pid, 0)[1])
"""
"""Parent and child leave by the interpreter's own way out, which goes through all objects once more."""


def test_a_child_that_uses_everything(installations: Installations, version: Version) -> None:
    library = str(installations[version].prefix / "lib/dovecot-urlauth")
    program = version.command("/usr/bin/python3", "-IBS", "-c", PROGRAM.format(library=library))
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    python, used, status = done.stdout.splitlines()
    known = python == "True"
    assert known or python == "not known for cpython 3.11", python
    assert known == (version.language == "2.4")
    assert (used, status) == ("few" if known else "many", "0")
