"""2.4: the configuration that the engine gets, in which ``imap`` finds what holds for the worker.

Dovecot takes a process's settings by the name of its service: in the engine ``protocol imap { }`` would apply and
``protocol imap-urlauth-worker { }`` would not, the other way round than in Dovecot's own worker.  The parsed file
says so in the text of its filters, and a filter that is as long as before changes nothing else in it: blanks
behind a filter's last term mean nothing.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.dialect.dialect import ConfigSource

COPY_SIZE = 1 << 20

ENGINES = b"imap"
NOBODYS = b"imaq"
OURS = b"imap-urlauth-worker"

TERMS = (b'protocol="%s"', b'settings_filter_name="service/%s"')
"""The terms of a filter that name a service."""


def config_for_engine(fd: int, source: ConfigSource) -> int:
    """``fd`` itself, or, if its filters tell the services apart, that of a changed copy; ``fd`` is then closed.

    Raises :class:`SettingsError`.
    """
    from dovecot_urlauth.wire.config_binary import BIG_ENDIAN, NATIVE, read_filters
    from dovecot_urlauth.wire.config_filter import ConfigFileError

    byte_order = BIG_ENDIAN if source is ConfigSource.BINARY_BIG_ENDIAN else NATIVE
    try:
        try:
            start, filters = read_filters(lambda size, offset: os.pread(fd, size, offset), byte_order)
        except ConfigFileError:
            # wherever the filters are in a file of another layout, the terms are
            start, filters = 0, os.pread(fd, os.fstat(fd).st_size, 0)
        changed = exchange_services(filters)
        if changed == filters:
            return fd
        copy = _copy(fd)
        os.pwrite(copy, changed, start)
        _seal(copy)
    except OSError as error:
        raise SettingsError(f"Failed to parse config from fd {fd}: {error}") from None
    os.close(fd)
    return copy


def exchange_services(filters: bytes) -> bytes:
    """The same number of bytes, with what holds for the worker holding for imap.

    >>> exchange_services(b'protocol="imap" AND x="y"\\0NOT protocol="imap-urlauth-worker"\\0')
    b'protocol="imaq" AND x="y"\\x00NOT protocol="imap"               \\x00'
    """
    for term in TERMS:
        filters = filters.replace(term % ENGINES, term % NOBODYS)
        filters = filters.replace(term % OURS, (term % ENGINES).ljust(len(term % OURS)))
    return filters


def _copy(fd: int) -> int:
    copy = os.memfd_create("dovecot.conf.binary", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    size = os.fstat(fd).st_size
    copied = 0
    while copied < size and (piece := os.pread(fd, COPY_SIZE, copied)):
        copied += os.pwrite(copy, piece, copied)
    return copy


def _seal(copy: int) -> None:
    """Every serving process has this descriptor, and the engines of all others read what is in it as root."""
    import fcntl

    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, seals)
