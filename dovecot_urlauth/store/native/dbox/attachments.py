"""External attachments: parts of a message that dbox keeps in files of their own, perhaps for several messages.

Matches index/index-attachment.c and lib-mail/istream-attachment-connector.c.  What is noted about the message says
where in it each file belongs, and whether the file is the decoded form of BASE64 in lines of one length:

    X1203 50612 B76C 5f/8a/5f8a...-0d3e...      start, size in the message, BASE64 in 76 columns with CRLF, path

A message that does not come out at the size that was noted is Unsupported, and so is a file that is not there.
(Single instances are links to one file, which takes nothing to read.)
"""

from __future__ import annotations

from binascii import b2a_base64

from dovecot_urlauth.message.source import reaching
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.files import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dovecot_urlauth.message.source import Source
    from dovecot_urlauth.message.steps import Steps
    from dovecot_urlauth.store.native.file_source import FileSource

PLAIN = b"-"
MOST_DIGITS = 18
MOST_ATTACHMENTS = 200
"""Files that are open at a time; Dovecot opens as many as there are."""
BLOCK, ENCODED_BLOCK = 3, 4
"""Bytes of BASE64's unit."""


@frozen
class Reference:
    """One external attachment of a message."""

    start: int
    """In the message as it was stored."""
    size: int
    columns: int
    """Of BASE64; 0 when the file is what the message has."""
    newline: bytes
    path: tuple[bytes, ...]


@frozen
class AttachmentFolder:
    """Where attachments are."""

    root: bytes
    suffix: bytes
    """Behind the name of each of the message's files."""

    def open(self, path: Sequence[bytes]) -> FileSource:
        """One file.  Raises StoreFailure or Unsupported."""
        *steps, name = path
        try:
            with Directory.root(self.root, is_listed=False) as root, root.directory(*steps) as folder:
                return folder.file(name + self.suffix)
        except FileNotFoundError:
            raise Unsupported("an external attachment is not there") from None


class Attached:
    """The opened attachments of one message, and the file that has the rest of it."""

    def __init__(
        self, references: Sequence[Reference], folder: AttachmentFolder, rest: FileSource, size: int
    ) -> None:
        """``size`` is that of the whole message.  Raises StoreFailure or Unsupported, and has closed all files."""
        self._references = references
        self._size = size
        self._files = [rest]
        try:
            for reference in references:
                self._files.append(folder.open(reference.path))
        except BaseException:
            self.close()
            raise

    def whole(self, rest: Source) -> Source:
        """The message, of which ``rest`` is what is not in attachments.  Raises Unsupported."""
        pieces: list[Piece] = []
        taken = at = 0
        for reference, file in zip(self._references, self._files[1:]):
            before = reference.start - at
            pieces.append(Piece(rest, taken, before))
            taken += before
            source: Source = file
            if reference.columns:
                source = Encoded(file, reference.columns, reference.newline)
            if source.size != reference.size:
                raise Unsupported("an external attachment has another size")
            pieces.append(Piece(source, 0, reference.size))
            at = reference.start + reference.size
        pieces.append(Piece(rest, taken, self._size - at))
        if taken + self._size - at != rest.size or self._size < at:
            raise Unsupported("a message with external attachments has another size")
        return Joined([piece for piece in pieces if piece.size])

    def close(self) -> None:
        """Close every file."""
        for file in self._files:
            file.close()


def parse_references(text: bytes) -> list[Reference]:
    """What is noted about a message's attachments, in the order in which they come.  Raises Unsupported."""
    words = text.split(b" ")
    if len(words) % 4 or len(words) > 4 * MOST_ATTACHMENTS:
        raise Unsupported("references to external attachments are broken, or very many")
    found = []
    end = 0
    for start, size, options, path in zip(*(words[place::4] for place in range(4))):
        columns, newline = _parse_options(options)
        steps = tuple(path.split(b"/"))
        if any(step in (b"", b".", b"..") for step in steps):
            raise Unsupported("an external attachment is no file")
        reference = Reference(_number(start), _number(size), columns, newline, steps)
        if reference.start < end:
            raise Unsupported("external attachments overlap")
        end = reference.start + reference.size
        found.append(reference)
    return found


def _parse_options(text: bytes) -> tuple[int, bytes]:
    """Columns of BASE64, and what ends its lines."""
    if text == PLAIN:
        return 0, b""
    columns, newline = text.removeprefix(b"B"), b"\n"
    if columns.endswith(b"C"):
        columns, newline = columns[:-1], b"\r\n"
    width = _number(columns)
    if not text.startswith(b"B") or not width or width % ENCODED_BLOCK:
        raise Unsupported("an external attachment is encoded in an unknown way")
    return width, newline


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > MOST_DIGITS:
        raise Unsupported("references to external attachments have a broken number")
    return int(digits)


class Encoded:
    """A file in BASE64 with lines of ``columns`` characters; fulfils the message room's ``Source``."""

    def __init__(self, file: Source, columns: int, newline: bytes) -> None:
        self._file = file
        self._columns = columns
        self._newline = newline
        self._line = columns + len(newline)
        characters = -(-file.size // BLOCK) * ENCODED_BLOCK
        self.size = characters + max(characters - 1, 0) // columns * len(newline)

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end.  Raises StoreFailure.

        Of a line, which may be as long as the file, no more is encoded than is asked for.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        line, column = divmod(offset, self._line)
        block = (line * self._columns + min(column, self._columns - 1)) // ENCODED_BLOCK
        before, begun = divmod(block * ENCODED_BLOCK, self._columns)
        skipped = offset - (before * self._line + begun)
        blocks = -(-(skipped + length) // ENCODED_BLOCK)
        text = b2a_base64(self._file.read(block * BLOCK, blocks * BLOCK), newline=False)
        rest = self._columns - begun
        lines = [text[:rest], *(text[at : at + self._columns] for at in range(rest, len(text), self._columns))]
        return (self._newline.join(lines) + self._newline)[skipped : skipped + length]


@frozen
class Piece:
    """``size`` bytes of a source that start at ``start``."""

    source: Source
    start: int
    size: int


class Joined:
    """Pieces one behind the other; fulfils the message room's ``SteppedSource``."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self.size = sum(piece.size for piece in pieces)

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end.  Raises StoreFailure."""
        found = []
        for piece in self._pieces:
            if length <= 0:
                break
            if offset < piece.size:
                found.append(piece.source.read(piece.start + offset, min(length, piece.size - offset)))
                length -= piece.size - offset
                offset = 0
            else:
                offset -= piece.size
        return b"".join(found)

    def reach(self, offset: int) -> Steps[None]:
        """See SteppedSource.reach."""
        for piece in self._pieces:
            if offset < piece.size:
                yield from reaching(piece.source, piece.start + offset)
                return
            offset -= piece.size
