"""sdbox and mdbox storages made without Dovecot, from the format's description."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.store import ondisk
from tests.store.user import GUID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEADER = b"2 M1e C65f2a1b0\n"
MAP_VALIDITY = 77


def message(body: bytes, noted: Mapping[str, str] | None = None, *, size: int | None = None) -> bytes:
    """One message with its header and what is noted about it, by letters; `size` is what the header says."""
    head = b"\1\2N" + b" " * 10 + b"%016x\n" % (len(body) if size is None else size)
    lines = {"G": GUID, "R": "65f2a1b0", **(noted or {})}
    return head + body + b"\n\1\3\n" + b"".join(f"{key}{value}\n".encode() for key, value in lines.items()) + b"\n"


def make_sdbox(mailbox: Path, mails: Mapping[int, bytes], index: Path | None = None) -> None:
    """A mailbox of sdbox; `mailbox` is its own directory, with the name `dbox-Mails`."""
    index = index or mailbox
    for folder in (mailbox, index):
        folder.mkdir(parents=True, exist_ok=True)
    for uid, mail in mails.items():
        (mailbox / f"u.{uid}").write_bytes(HEADER + message(mail))
    write_index(index, list(mails))


def write_index(folder: Path, uids: list[int], guid: str = GUID) -> None:
    """The index of an sdbox mailbox."""
    header = struct.pack("<I16sB3x", 0, bytes.fromhex(guid), 0)
    made = ondisk.index([(uid, 0) for uid in uids], extensions=[(b"dbox-hdr", 0, header, {})])
    replace(folder / "dovecot.index", made)
    replace(folder / "dovecot.index.log", ondisk.log_header())


def make_mdbox(root: Path, boxes: Mapping[str, Mapping[int, bytes]]) -> None:
    """A storage of mdbox with these mailboxes, all messages in one file."""
    content = HEADER
    positions: dict[int, tuple[int, int]] = {}
    for name, mails in boxes.items():
        numbers = {}
        for uid, mail in mails.items():
            number = numbers[uid] = len(positions) + 1
            positions[number] = (1, len(content))
            content += message(mail)
        write_box(root / "mailboxes" / name / "dbox-Mails", numbers)
    (root / "storage").mkdir(exist_ok=True)
    (root / "storage" / "m.1").write_bytes(content)
    write_map(root / "storage", positions)


def write_box(folder: Path, numbers: Mapping[int, int], validity: int = MAP_VALIDITY) -> None:
    """A mailbox's index: each UID's number in the map."""
    folder.mkdir(parents=True, exist_ok=True)
    header = struct.pack("<I16sB3x", validity, bytes.fromhex(GUID), 0)
    records = {uid: struct.pack("<II", number, 0x65F2A1B0) for uid, number in numbers.items()}
    extensions: list[tuple[bytes, int, bytes, Mapping[int, bytes]]] = [
        (b"mdbox", 0, b"", records),
        (b"mdbox-hdr", 0, header, {}),
    ]
    replace(folder / "dovecot.index", ondisk.index([(uid, 0) for uid in numbers], extensions=extensions))
    replace(folder / "dovecot.index.log", ondisk.log_header())


def write_map(folder: Path, positions: Mapping[int, tuple[int, int]], validity: int = MAP_VALIDITY) -> None:
    """The map of a storage: each number's file and offset."""
    folder.mkdir(parents=True, exist_ok=True)
    records = {number: struct.pack("<III", *position, 0) for number, position in positions.items()}
    made = ondisk.index(
        [(number, 0) for number in positions],
        uid_validity=validity,
        extensions=[(b"map", 0, struct.pack("<II", 0, 0), records), (b"ref", 0, b"", {})],
    )
    replace(folder / "dovecot.map.index", made)
    replace(folder / "dovecot.map.index.log", ondisk.log_header())


def replace(path: Path, data: bytes) -> None:
    """Write a file as Dovecot does, under another name first."""
    path.with_name(path.name + ".tmp").write_bytes(data)
    path.with_name(path.name + ".tmp").rename(path)
