"""Line ends in large pieces of text, counted and completed by the interpreter's own string functions.

The ways chosen here are the fast ones of CPython: removing a byte is quicker than counting it, and building the
CRLF form of a text and comparing is quicker than looking for pairs in it.
"""

from __future__ import annotations


def count(text: bytes) -> tuple[int, int]:
    """Number of LFs, and how many of them have a CR."""
    if b"\r" not in text:
        return len(text) - len(text.replace(b"\n", b"")), 0
    bare = text.replace(b"\r", b"")
    if bare.replace(b"\n", b"\r\n") == text:
        return len(text) - len(bare), len(text) - len(bare)
    return text.count(b"\n"), text.count(b"\r\n")


def completed(text: bytes) -> bytes:
    """The text with a CR before every LF that has none; a text that needs none is given back as it is."""
    if b"\r" not in text:
        return text.replace(b"\n", b"\r\n")
    crlf = text.replace(b"\r", b"").replace(b"\n", b"\r\n")
    return text if crlf == text else text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
