"""The list of lib-storage's settings is held against the Dovecots themselves."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from dovecot_urlauth.config.known import IRRELEVANT, MAILBOX, NAMESPACE, NEUTRAL, PLUGIN_NAMES, UNDERSTOOD
from dovecot_urlauth.config.settings import short_name
from dovecot_urlauth.wire.config_binary import BIG_ENDIAN, NATIVE
from testing.versions import CHOSEN, Version

VECTORS = Path(__file__).parents[1] / "wire" / "vectors"
FORMATS = [("2.4.1", BIG_ENDIAN), ("2.4.5", NATIVE)]
STORAGE_BLOCKS = ("mail_storage", "mail_user", "mailbox_list_layout", "maildir", "mbox", "mdbox", "sdbox")
"""Blocks of the parsed configuration that are lib-storage's."""

KNOWN = UNDERSTOOD | IRRELEVANT | NEUTRAL.keys()


@pytest.mark.parametrize(("version", "byte_order"), FORMATS)
def test_every_setting_in_the_parsed_file_of_2_4(version: str, byte_order: str) -> None:
    data = gzip.decompress((VECTORS / f"dovecot-{version}.binary.gz").read_bytes())
    for block in STORAGE_BLOCKS:
        assert not keys_of(block, data, byte_order) - KNOWN, block
    in_namespace = {short_name("namespace/x", key) for key in keys_of("mail_namespace", data, byte_order)}
    assert not in_namespace - NAMESPACE
    in_mailbox = {short_name("namespace/x/mailbox/y", key) for key in keys_of("mailbox", data, byte_order)}
    assert not in_mailbox - MAILBOX


def keys_of(block: str, data: bytes, byte_order: str) -> set[str]:
    """The names of all settings of a block: its size and name, then a count and as many strings."""
    order: Literal["big", "little"] = "big" if byte_order == BIG_ENDIAN else "little"
    name = block.encode() + b"\0"
    at = -1
    while (at := data.find(name, at + 1)) >= 0:
        keys = at + len(name)
        size = int.from_bytes(data[at - 8 : at], order)
        count = int.from_bytes(data[keys : keys + 4], order)
        if 0 < size < len(data) and 0 < count < 200:
            return {key.decode() for key in data[keys + 4 :].split(b"\0", count)[:count]}
    raise AssertionError(f"no block {block}")


def test_no_name_has_two_meanings() -> None:
    assert not UNDERSTOOD & IRRELEVANT
    assert not (UNDERSTOOD | IRRELEVANT) & NEUTRAL.keys()


@pytest.mark.dovecot
@pytest.mark.parametrize("version", CHOSEN, ids=lambda version: version.name)
def test_every_setting_that_doveconf_shows(version: Version, tmp_path: Path) -> None:
    if version.root == Path("/") and shutil.which("doveconf") is None:
        pytest.skip("no Dovecot here")
    folder = version.folder()
    try:
        configuration = folder / "minimal.conf"
        configuration.write_text(version.heading)
        inside = Path("/") / configuration.relative_to(version.root)
        command = version.command("doveconf", "-a", "-c", inside)
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    finally:
        shutil.rmtree(folder)
    names = {line.partition(" = ")[0] for line in shown.splitlines() if not line.startswith((" ", "#"))}
    of_storage = {name for name in names if name.startswith(("mail_", "mailbox_", "maildir_", "mbox_", "mdbox_"))}
    of_plugins = {name for name in of_storage if name.startswith(PLUGIN_NAMES)}
    of_mailboxes = {f"mailbox_{name}" for name in MAILBOX}
    assert len(of_storage) > 50
    assert not of_storage - of_plugins - of_mailboxes - KNOWN
