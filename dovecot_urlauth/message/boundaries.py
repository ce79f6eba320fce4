"""The boundaries of the multiparts that are open, and which of them a delimiter line belongs to.

There can be a hundred, and a message can consist of lines that might belong to one of them; so a line is looked
up by its beginnings instead of being compared with each boundary.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.part import Part

#: No more of a boundary counts.
BOUNDARY_LIMIT = 80


class Boundary:
    """The boundary of an open multipart."""

    __slots__ = ("common", "depth", "part", "text")

    def __init__(self, text: bytes, part: Part, depth: int, common: bytes) -> None:
        self.text = text
        self.part = part
        #: How many multiparts are open around this one.
        self.depth = depth
        #: What this boundary and all around it begin with.
        self.common = common


class Boundaries:
    """A stack of boundaries, the innermost on top."""

    def __init__(self) -> None:
        self._stack: list[Boundary] = []
        #: Those with the same text, the innermost last.
        self._same: dict[bytes, list[Boundary]] = {}
        #: The lengths that there are, the largest first.
        self._lengths: list[int] = []
        #: What every delimiter line begins with, and the line end before it.
        self.needle = b"\n--"

    def __bool__(self) -> bool:
        return bool(self._stack)

    def open(self, text: bytes, part: Part) -> None:
        """A multipart begins."""
        text = text[:BOUNDARY_LIMIT]
        common = _common(self._stack[-1].common, text) if self._stack else text
        boundary = Boundary(text, part, len(self._stack), common)
        self._stack.append(boundary)
        self._same.setdefault(text, []).append(boundary)
        self._changed()

    def close_inside(self, boundary: Boundary, *, closing: bool) -> None:
        """Those inside of ``boundary`` end, and with ``closing`` so does itself."""
        keep = boundary.depth + (not closing)
        if keep == len(self._stack):
            return
        while len(self._stack) > keep:
            same = self._same[self._stack.pop().text]
            same.pop()
        self._changed()

    def _changed(self) -> None:
        self._same = {text: same for text, same in self._same.items() if same}
        self._lengths = sorted(set(map(len, self._same)), reverse=True)
        self.needle = b"\n--" + (self._stack[-1].common if self._stack else b"")

    def fitting(self, line: bytes, *, dashes: bool) -> Boundary | None:
        """The boundary that a line behind its two hyphens fits best: the longest, of equals the innermost.

        ``dashes``: the line is complete and ends in hyphens.  If a boundary is all before them, the ones around it
        are not looked at.
        """
        fits = [
            self._same[line[:length]][-1]
            for length in self._lengths
            if length <= len(line) and line[:length] in self._same
        ]
        if not fits:
            return None
        if dashes:
            for place, boundary in enumerate(fits):
                longer = fits[:place]
                if len(boundary.text) + 2 == len(line) and all(each.depth < boundary.depth for each in longer):
                    return boundary
        return fits[0]


def _common(one: bytes, other: bytes) -> bytes:
    """What both begin with."""
    length = min(len(one), len(other))
    while one[:length] != other[:length]:
        length -= 1
    return one[:length]
