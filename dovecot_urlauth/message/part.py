"""A part of a message: where it lies and what it is."""

from __future__ import annotations

from dovecot_urlauth.message.window import Mark
from dovecot_urlauth.start.frozen import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.parameters import ContentType


class Size:
    """Size of a range: bytes as stored, bytes with every line end CRLF, and line ends."""

    __slots__ = ("lines", "physical", "virtual")

    def __init__(self, physical: int, virtual: int, lines: int) -> None:
        self.physical = physical
        self.virtual = virtual
        self.lines = lines


def size_between(first: Mark, behind: Mark) -> Size:
    """The size of what lies between two marks."""
    physical = behind.offset - first.offset
    return Size(physical, physical + behind.bare - first.bare, behind.lines - first.lines)


class Place(Enum):
    """What contains a part."""

    #: Nothing: it is the message itself.
    ROOT = "root"
    MULTIPART = "multipart"
    DIGEST = "multipart/digest"
    #: A message/rfc822 part; the part is the message inside.
    MESSAGE = "message/rfc822"


class Part:
    """A node of the MIME tree.

    ``start``, ``body`` and ``end`` are the places where its header begins, its body begins and its body ends;
    a message/rfc822 part has its message as a child from the end of its header on, however that ended; a part's
    body includes its children's headers and bodies, and the delimiter lines between them.  There is no
    way up, so that a tree is gone as soon as nobody needs it.
    """

    __slots__ = (
        "body", "children", "content_type", "digest", "end", "fields", "is_mime", "multipart", "place", "rfc822",
        "start", "text",
    )  # fmt: skip

    def __init__(self, place: Place, start: Mark) -> None:
        self.place = place
        self.children: list[Part] = []
        self.start = self.body = start
        #: None as long as the part is open.
        self.end: Mark | None = None
        self.multipart = self.digest = self.rfc822 = self.text = False
        #: The Content-* fields count: there is a MIME-Version or Content-Type, or the part is of a multipart.
        self.is_mime = place in (Place.MULTIPART, Place.DIGEST)
        #: The first Content-Type field, if there is any.
        self.content_type: ContentType | None = None
        #: The fields that a structure shows, as (lower-case name, value).
        self.fields: list[tuple[bytes, bytes]] = []

    @property
    def header_size(self) -> Size:
        """Size of the header block, with the empty line if there is one."""
        return size_between(self.start, self.body)

    @property
    def body_size(self) -> Size:
        """Size of the body."""
        return size_between(self.body, self.end or self.body)

    @property
    def body_end(self) -> int:
        """Offset behind the body."""
        return (self.end or self.body).offset
