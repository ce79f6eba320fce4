"""Files and folders in memory, as the native store reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping


class MemoryFile:
    """What :class:`FileSource` is for a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.path = b"memory"
        self.version = 0

    def read(self, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > 1 << 62:
            raise AssertionError(f"reads {length} bytes at {offset}")
        return self._data[offset : offset + length]

    def close(self) -> None:
        """There is nothing to close."""

    def __enter__(self) -> MemoryFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MemoryFolder:
    """What :class:`Directory` is for a folder."""

    def __init__(self, files: Mapping[bytes, bytes]) -> None:
        self._files = files

    def file(self, name: bytes) -> MemoryFile:
        if name not in self._files:
            raise FileNotFoundError(2, "No such file", os.fsdecode(name))
        return MemoryFile(self._files[name])

    def status(self, name: bytes) -> os.stat_result | None:
        size = len(self._files.get(name, b""))
        return os.stat_result((0, 0, 0, 0, 0, 0, size, 0, 0, 0))

    def close(self) -> None:
        """There is nothing to close."""
