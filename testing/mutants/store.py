"""The target user as the userdb has it, and what of the file system belongs to it."""

from __future__ import annotations

from testing.mutants.mutant import Rows

NO = "if False:"

ROWS: Rows = [
    (7, "the userdb says root", "config/account.py", 'if self._id_field("uid") == 0:', NO),
    (7, "the settings say root", "config/account.py", "if uid == 0:\n", "if False:\n"),
    (7, "a user without uid", "config/account.py", "if uid is None:\n        raise", "if False:\n        raise"),
    (7, "a user without gid", "config/account.py", "if gid is None:\n        raise", "if False:\n        raise"),
    (
        7,
        "an id out of range",
        "config/account.py",
        "if not _within(found, first, ",
        "if False and not _within(found, first, ",
    ),
    (
        7,
        "an id that setresuid takes for none",
        "config/account.py",
        "return number if number < NO_ID else None",
        "return number",
    ),
    (
        7,
        "a system group out of range",
        "config/account.py",
        " if _within(each, first, last)]",
        "]",
    ),
    (
        7,
        "a chroot that the settings do not allow",
        "config/account.py",
        "if chroot and not any(chroot.startswith(directory) for directory in allowed):",
        NO,
    ),
    (7, "a home that depends on where we are", "config/account.py", 'if home and not home.startswith("/"):', NO),
    (7, "a NUL cuts a path", "config/account.py", 'if b"\\0" in value:', NO),
    (
        14,
        "a link instead of a mail",
        "store/native/files.py",
        "OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW |",
        "OPEN_FILE = os.O_RDONLY |",
    ),
    (
        14,
        "a link instead of a folder",
        "store/native/files.py",
        "fd = self._open(name, OPEN_DIRECTORY | os.O_NOFOLLOW)",
        "fd = self._open(name, OPEN_DIRECTORY)",
    ),
    (14, "a device instead of a mail", "store/native/files.py", "if stat.S_ISREG(status.st_mode):", "if True:"),
    (
        14,
        "a step out of the mail root",
        "store/native/files.py",
        'if name in (b"", b".", b"..") or b"/" in name:',
        NO,
    ),
    (14, "a mailbox name of more than one path", "store/native/names.py", "if len(name) > NAME_LIMIT or ", "if "),
    (
        14,
        "a NUL in a mailbox name",
        "store/native/names.py",
        'if len(name) > NAME_LIMIT or b"\\0" in name:',
        "if len(name) > NAME_LIMIT:",
    ),
    (
        14,
        "a slash in a Maildir++ name",
        "store/native/names.py",
        'if rules.storage_separator != b"/" and b"/" in name:',
        NO,
    ),
    (14, "a mailbox name that is a path of its own", "store/native/names.py", "if name.startswith(start):", NO),
    (14, "a mailbox name that leads upwards", "store/native/names.py", ', b"..": "Contains \'..\' part"', ""),
    (
        14,
        "a mailbox name that is a mailbox's own part",
        "store/native/names.py",
        'fault = "Contains reserved name" if part in rules.reserved else faults.get(part)',
        "fault = faults.get(part)",
    ),
    (
        21,
        "a folder that took the place of another",
        "store/native/files.py",
        "return (status.st_dev, status.st_ino) == self._identity\n\n    def is_same",
        "return True\n\n    def is_same",
        "tests/store/native/test_opened_maildir.py",
    ),
]
