"""A mailbox of one short mail in each format, in memory: to be read before anybody's mail is.

Reading it runs what reading a real one would, so that the interpreter has adapted that code (PEP 659), and a
forked child has its own copies of the pages that it writes to.  The files have no name on any disk.
"""

from __future__ import annotations

import os
from struct import Struct

from dovecot_urlauth.config.mbox_rules import MboxRules
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.native.attributes.file_dict import FileDict
from dovecot_urlauth.store.native.dbox.opened_mdbox import OpenedMdbox
from dovecot_urlauth.store.native.dbox.opened_sdbox import OpenedSdbox
from dovecot_urlauth.store.native.file_source import FileSource
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.index.extensions import INTRO, NO_NUMBER
from dovecot_urlauth.store.native.index.transaction_log import APPEND, BOUNDARY, EXT_INTRO, EXT_RECORD_UPDATE
from dovecot_urlauth.store.native.layout import MailboxPlaces, Place
from dovecot_urlauth.store.native.mailbox import KEY_PATH, NativeStore
from dovecot_urlauth.store.native.maildir.opened_maildir import OpenedMaildir
from dovecot_urlauth.store.native.mbox.opened_mbox import OpenedMbox
from dovecot_urlauth.store.native.mbox.places import MboxPlaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.config.native_settings import NativeSettings
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.store.native.driver import Driver

UID = 1
KEY = bytes(range(64))
MESSAGE = b"Subject: nothing\n\nNothing.\n"
GUID = bytes(range(1, 17))
VALIDITY = 1
MADE_AT = 1_000_000_000
"""When the files were written, in seconds: what is younger than a moment may be written once more unseen."""

HEADER = Struct("<BBHIIB3xIIIII24xIII48x")
EXTENSION = Struct("<IIHHHH")
LOG_HEADER = Struct("<BBHIIIII16x").pack(1, 3, 40, VALIDITY, 1, 0, 0, 0)
MESSAGE_FLAGS = Struct("<IB3x")
LATER = range(UID + 1, UID + 5)
"""Messages that the log alone has."""

INDEX = "dovecot.index"
DBOX_HEADER = Struct("<I16sB3x").pack(VALIDITY, GUID, 0)
DBOX_FILE = b"2 M1e C65f2a1b0\n\1\2N          %016x\n%s\n\1\3\nR65f2a1b0\n\n" % (len(MESSAGE), MESSAGE)
MBOX_FILE = b"From a@b  Thu Nov 26 10:00:00 2026\n%s\n" % MESSAGE


class MadeUpStore(NativeStore):
    """A store whose every mailbox is the made-up one."""

    def __init__(self, driver: str, settings: NativeSettings, loop: Loop) -> None:
        """Nothing that ``settings`` name is opened.  Raises OSError."""
        super().__init__(settings, loop)
        self._make = MAKERS[driver]
        self._fds: list[int] = []
        key = KEY_PATH % GUID.hex().encode()
        try:
            folder = self._folder({"dict": b"%s\n%s\n" % (key, KEY.hex().encode())})
            self.attributes = _MadeUpDict(folder.open())
        except BaseException:
            self._close_files()
            raise

    def close(self) -> None:
        """End all sessions."""
        super().close()
        self._close_files()

    def _close_files(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def _open_driver(self, mailbox: bytes) -> Driver:
        self._finder.find(mailbox)
        return self._make(self._folder)

    def _folder(self, content: Mapping[str, bytes]) -> _MadeUpPlace:
        """A directory with these files."""
        files: dict[bytes, int] = {}
        for name, data in content.items():
            fd = files[name.encode()] = os.memfd_create("made-up")
            self._fds.append(fd)
            os.write(fd, data)
            os.utime(fd, (MADE_AT, MADE_AT))
        return _MadeUpPlace(b"/made-up", (), files)


@frozen
class _MadeUpPlace(Place):
    """Where files in memory are, by name."""

    files: Mapping[bytes, int]

    def open(self, *, is_listed: bool = True) -> Directory:
        return _MadeUpDirectory(self.root, self.files)


class _MadeUpDirectory(Directory):
    """A directory that has its files in memory, and itself for every directory below."""

    __slots__ = ("_files",)

    def __init__(self, path: bytes, files: Mapping[bytes, int]) -> None:
        super().__init__(os.open("/", os.O_PATH | os.O_CLOEXEC), path)
        self._files = files

    def directory(self, *names: bytes) -> Directory:
        return _MadeUpDirectory(self.path, self._files)

    def status(self, name: bytes) -> os.stat_result | None:
        return os.fstat(self._files[name]) if name in self._files else None

    def is_in_place(self) -> bool:
        return True

    def _open(self, name: bytes, flags: int) -> int:
        return os.dup(self._files[name])


class _MadeUpDict(FileDict):
    """The dictionary with the mailbox's key."""

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory.path)
        self._directory = directory

    def close(self) -> None:
        super().close()
        self._directory.close()

    def _current_file(self) -> FileSource:
        self._file = self._file or self._directory.file(b"dict")
        return self._file


def _index(name: str, *extensions: tuple[bytes, bytes, bytes, bytes]) -> dict[str, bytes]:
    """An index of one message, and a log with more of them.

    An extension is its name, its header, what it has for that message, and for each of the others.
    """
    headers, record, log = b"", MESSAGE_FLAGS.pack(UID, 0), LOG_HEADER
    for extension, header, data, _ in extensions:
        entry = EXTENSION.pack(len(header), 0, len(record) if data else 0, len(data), 4, len(extension))
        headers += _padded(entry + extension) + _padded(header)
        record += data
    for uid in LATER:
        log += _log_record(BOUNDARY, Struct("<I").pack(12))
        log += _log_record(APPEND, MESSAGE_FLAGS.pack(uid, 0))
        for extension, header, _, data in extensions:
            if data:
                intro = INTRO.pack(NO_NUMBER, 0, len(header), len(data), 4, 1, len(extension)) + extension
                log += _log_record(EXT_INTRO, intro) + _log_record(
                    EXT_RECORD_UPDATE, Struct("<I").pack(uid) + data
                )
    base = HEADER.pack(
        7,
        3,
        HEADER.size,
        HEADER.size + len(headers),
        len(record),
        1,
        VALIDITY,
        0,
        VALIDITY,
        UID + 1,
        1,
        1,
        len(LOG_HEADER),
        len(LOG_HEADER),
    )
    return {name: base + headers + record, f"{name}.log": log}


def _log_record(kind: int, data: bytes) -> bytes:
    data += bytes(-len(data) % 4)
    units = (8 + len(data)) // 4  # so few that they are one digit of four
    return Struct("<BBBBI").pack(0x80, 0x80, 0x80, 0x80 | units, kind) + data


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _maildir(folder: Callable[[Mapping[str, bytes]], Place]) -> Driver:
    uidlist = b"3 V%d N%d G%s\n%d :mail\n" % (VALIDITY, UID + 1, GUID.hex().encode(), UID)
    place = folder({**_index(INDEX), "dovecot-uidlist": uidlist, "mail": MESSAGE, "mail:2,": MESSAGE})
    return OpenedMaildir(MailboxPlaces(place, place, place))


def _sdbox(folder: Callable[[Mapping[str, bytes]], Place]) -> Driver:
    place = folder({**_index(INDEX, (b"dbox-hdr", DBOX_HEADER, b"", b"")), f"u.{UID}": DBOX_FILE})
    return OpenedSdbox(MailboxPlaces(place, place, place))


def _mdbox(folder: Callable[[Mapping[str, bytes]], Place]) -> Driver:
    number = Struct("<II").pack(UID, MADE_AT)
    place = folder(_index(INDEX, (b"mdbox", b"", number, number), (b"mdbox-hdr", DBOX_HEADER, b"", b"")))
    where = Struct("<III").pack(1, len(b"2 M1e C65f2a1b0\n"), 0)
    mails = folder({**_index("dovecot.map.index", (b"map", bytes(8), where, where)), "m.1": DBOX_FILE})
    return OpenedMdbox(MailboxPlaces(place, place, place), MailboxPlaces(mails, mails, mails))


def _mbox(folder: Callable[[Mapping[str, bytes]], Place]) -> Driver:
    content = 2 * MBOX_FILE
    synced = Struct("<QIB3x16s").pack(len(content), MADE_AT, 0, GUID)
    second = Struct("<Q").pack(len(MBOX_FILE) - 1)
    index = folder(_index(INDEX, (b"mbox", synced, bytes(8), second)))
    return OpenedMbox(MboxPlaces(folder({"box": content}), b"box", index), MboxRules())


MAKERS = {"maildir": _maildir, "mbox": _mbox, "mdbox": _mdbox, "sdbox": _sdbox}
"""By the driver's name."""
