"""What a message can be refused for; the worker puts ``text`` behind ``Failed to read URLAUTH "<url>": ``."""

from __future__ import annotations


class MessageError(Exception):
    """A request that this message cannot answer; ``text`` is what the client may be told."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class InvalidSection(MessageError):
    """The section does not follow RFC 3501's grammar of BODY[<section>]."""

    def __init__(self, text: str = "Invalid section") -> None:
        super().__init__(text)


class PartMissing(MessageError):
    """The section is well formed but this message has no such part."""

    def __init__(self, text: str = "Message part not found") -> None:
        super().__init__(text)


class Undecodable(MessageError):
    """BINARY was asked of a part whose transfer encoding is unknown or whose encoded text is broken."""


class TooLarge(MessageError):
    """A structure that would not fit into the process's memory; only a hostile message has one."""


class ReadError(MessageError):
    """The message gave fewer bytes than were announced; nothing sane can follow on that connection."""
