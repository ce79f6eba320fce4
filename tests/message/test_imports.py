"""The room is pure and starts fast: what a plain whole message may load, and what nothing may."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Modules that cost more to import than a message takes to read, or that reach outside.
UNWANTED = set(
    """
    re enum typing dataclasses socket _socket collections.abc inspect logging functools contextlib pathlib
    subprocess tempfile base64 hmac hashlib email datetime traceback json shutil random uuid abc
    """.split()
)

PROGRAM = """
import sys
before = set(sys.modules)
from dovecot_urlauth.message.fetch import Request, fetch
from dovecot_urlauth.message.rules import RULES_2_4_5
from dovecot_urlauth.message.source import BytesSource
message = b'''Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/rfc822

From: a@EXAMPLE

--b
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=x

QQ==
--b--
'''
for request in {requests}:
    for chunk in fetch(BytesSource(message), Request(*request), RULES_2_4_5).chunks:
        pass
print(*(set(sys.modules) - before))
"""


def loaded(requests: str) -> set[str]:
    """The modules that a fresh interpreter loads for some requests."""
    program = PROGRAM.format(requests=requests)
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_a_whole_message_is_read_without_the_parser() -> None:
    modules = loaded("[(b'',), (b'', 1, 5)]")
    assert "dovecot_urlauth.message.body" in modules
    assert not modules & UNWANTED
    assert not any(f"dovecot_urlauth.message.{name}" in modules for name in ("tree", "section", "structure"))


def test_a_header_is_read_without_the_tree() -> None:
    modules = loaded("[(b'HEADER',), (b'TEXT',), (b'HEADER.FIELDS (subject)',)]")
    assert "dovecot_urlauth.message.header" in modules
    assert not modules & UNWANTED
    assert "dovecot_urlauth.message.tree" not in modules


def test_structure_and_decoding_load_nothing_slow() -> None:
    modules = loaded("[(b'', 0, None, True, True, True), (b'2', 0, None, True, True)]")
    assert "dovecot_urlauth.message.structure" in modules
    assert not modules & UNWANTED
