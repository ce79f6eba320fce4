"""The generic part of a URL: percent encoding, scheme, authority, path, query (RFC 3986).

Accepts and refuses what Dovecot does, with its error texts and in its order (lib/uri-util.c): the
text is read from left to right, and the first error wins.  Nothing is decoded before its component
has been cut out, so an encoded ``/`` or ``;`` is always data.
"""

from __future__ import annotations

from binascii import unhexlify

from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.url.rules import URLRules

DIGITS = b"0123456789"
ALPHANUMERIC = DIGITS + b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
HEX_DIGITS = DIGITS + b"abcdefABCDEF"
LABEL = ALPHANUMERIC + b"-"
HYPHEN = ord("-")

# RFC 3986, appendix A; "%" is in each set because encoded bytes are checked apart.
UNRESERVED = ALPHANUMERIC + b"-._~"
SUB_DELIMS = b"!$&'()*+,;="
USERINFO = UNRESERVED + SUB_DELIMS + b":%"
PATH = UNRESERVED + SUB_DELIMS + b":@/%"
QUERY = PATH + b"?"

SCHEME_LIMIT = 64  # URI_MAX_SCHEME_NAME_LEN
PORT_LIMIT = 65535


class InvalidURL(Exception):
    """The text is not a URL that may be used; ``text`` is Dovecot's reason.

    Bytes of the URL that are not UTF-8 stand in the reason as surrogates (``surrogateescape``).
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@frozen
class Authority:
    """``[userinfo@]host[:port]``; userinfo is still percent-encoded, the host is not."""

    userinfo: bytes | None
    host: bytes
    port: int


def show(data: bytes) -> str:
    """Bytes of a URL as part of an error text."""
    return data.decode("utf-8", "surrogateescape")


def span(text: bytes, start: int, allowed: bytes) -> int:
    """Where the run of allowed bytes that begins at ``start`` ends."""
    return len(text) - len(text[start:].lstrip(allowed))


def check_percent(text: bytes, start: int, end: int, rules: URLRules) -> None:
    """Raise :class:`InvalidURL` for the first bad percent encoding that begins between start and end.

    The two digits are looked for in the whole text: ``%`` right before a delimiter is told as that
    delimiter being no digit, and only the end of the text as an end.
    """
    at = text.find(b"%", start, end)
    while at >= 0:
        percent_byte(text, at, rules)
        at = text.find(b"%", at + 3, end)


def percent_byte(text: bytes, at: int, rules: URLRules) -> int:
    """The byte that the percent encoding at ``at`` stands for."""
    digits = text[at + 1 : at + 3]
    if len(digits) < 2:
        raise InvalidURL("Unexpected URI boundary after '%'")
    for index, digit in enumerate(digits):
        if digit not in HEX_DIGITS:
            seen = show(digits[:index])
            raise InvalidURL(f"Expecting hex digit after '%{seen}', but found {rules.show_byte(digit)}")
    byte = unhexlify(digits)[0]
    if byte == 0:
        raise InvalidURL("Percent encoding is not allowed to encode NUL character")
    return byte


def decode(component: bytes) -> bytes:
    """Undo the percent encoding of a component that :func:`check_percent` has passed."""
    plain, *encoded = component.split(b"%")
    return plain + b"".join(unhexlify(part[:2]) + part[2:] for part in encoded)


def split_scheme(url: bytes) -> tuple[bytes | None, int]:
    """The scheme and where the rest begins; ``(None, 0)`` if the text begins with no scheme."""
    name, colon, _ = url.partition(b":")
    if colon and len(name) <= SCHEME_LIMIT and name[:1].isalpha() and not name.strip(ALPHANUMERIC + b"+-."):
        return name, len(name) + 1
    return None, 0


def parse_authority(url: bytes, start: int, rules: URLRules) -> tuple[Authority, int]:
    """Read the authority at ``start`` (after the two slashes); returns it and where the path begins."""
    userinfo = None
    at = span(url, start, USERINFO)
    if url[at : at + 1] == b"@":
        userinfo = url[start:at]
        start = at + 1
    host, at = _parse_host(url, start, rules)
    if url[at : at + 1] not in (b"", b":", b"/", b"?", b"#"):
        raise InvalidURL("Invalid host identifier")
    port = 0
    if url[at : at + 1] == b":":
        start, at = at + 1, span(url, at + 1, DIGITS)
        port = _parse_port(url[start:at])
        if url[at : at + 1] not in (b"", b"/", b"?", b"#"):
            raise InvalidURL("Invalid host port")
    return Authority(userinfo, host, port), at


def parse_path(url: bytes, start: int, rules: URLRules) -> tuple[list[bytes], int]:
    """Read the path at ``start``; returns its raw segments without dot segments, and where it ends.

    No path at all gives no segment; ``/`` gives one that is empty.
    """
    end = _component_end(url, start, PATH, b"?#", "Path", rules)
    if end == start:
        return [], end
    segments: list[bytes] = []
    dots = False
    for segment in url[start:end].removeprefix(b"/").split(b"/"):
        dots = segment in (b".", b"..")
        if not dots:
            segments.append(segment)
        elif segment == b".." and segments:
            segments.pop()
    if dots:
        segments.append(b"")  # "a/." and "a/b/.." end in a slash
    return segments, end


def parse_query(url: bytes, start: int, rules: URLRules) -> tuple[bytes | None, int]:
    """Read ``?query`` at ``start``; None if there is none."""
    if url[start : start + 1] != b"?":
        return None, start
    end = _component_end(url, start + 1, QUERY, b"#", "Query", rules)
    return url[start + 1 : end], end


def has_fragment(url: bytes, start: int, rules: URLRules) -> bool:
    """Whether a ``#fragment`` is at ``start``."""
    if url[start : start + 1] != b"#":
        return False
    _component_end(url, start + 1, QUERY, b"", "Fragment", rules)
    return True


def _component_end(url: bytes, start: int, allowed: bytes, stops: bytes, name: str, rules: URLRules) -> int:
    end = span(url, start, allowed)
    check_percent(url, start, end, rules)
    if end < len(url) and url[end] not in stops:
        shown = f" {rules.show_byte(url[end])}" if rules.names_bad_byte else ""
        raise InvalidURL(f"{name} component contains invalid character{shown}")
    return end


def _parse_port(digits: bytes) -> int:
    if not digits:
        return 0
    digits = digits.lstrip(b"0")
    if not digits or len(digits) > len(str(PORT_LIMIT)) or int(digits) > PORT_LIMIT:
        raise InvalidURL("Invalid port number")
    return int(digits)


def _parse_host(url: bytes, start: int, rules: URLRules) -> tuple[bytes, int]:
    if url[start : start + 1] == b"[":
        return _parse_ip_literal(url, start, rules)
    end = _ipv4_end(url, start)
    if end is not None:
        return url[start:end], end
    return _parse_host_name(url, start, rules)


def _parse_ip_literal(url: bytes, start: int, rules: URLRules) -> tuple[bytes, int]:
    close = url.find(b"]", start)
    if close < 0:
        raise InvalidURL("Expecting ']' at end of IP-literal")
    address = url[start + 1 : close]
    if not address:
        raise InvalidURL("Empty IPv6 host address")
    if address.startswith(b"v"):
        raise InvalidURL(f"Future IP host address '{show(address)}' not supported")
    if not _is_address(address, rules):
        raise InvalidURL(f"Invalid IPv6 host address '{show(address)}'")
    return url[start : close + 1], close + 1


def _is_address(address: bytes, rules: URLRules) -> bool:
    # Almost no URL has an IP literal, so the module that can read one is loaded here.
    from dovecot_urlauth.start.cpython import AF_INET6, AI_NUMERICHOST, getaddrinfo, inet_pton

    if b"\0" in address:
        return False
    try:
        if not rules.numeric_literal:
            inet_pton(AF_INET6, address.decode("ascii"))
        elif address.count(b".") != 3 or _ipv4_end(address, 0) != len(address):
            getaddrinfo(address, None, 0, 0, 0, AI_NUMERICHOST)
    except (OSError, ValueError):
        return False
    return True


def _ipv4_end(url: bytes, start: int) -> int | None:
    """Where an IPv4 address that begins at ``start`` ends, None if a host name has to be read instead.

    As in Dovecot the address ends after four numbers whatever follows (``1.2.3.4.example`` is then
    no host), and at the end of the text also after fewer.
    """
    at = start
    for index in range(4):
        if index:
            if at == len(url):
                break
            if url[at : at + 1] != b".":
                return None
            at += 1
        end = span(url, at, DIGITS)
        octet = url[at:end].lstrip(b"0")
        if end == at or len(octet) > 3 or int(octet or b"0") > 255:
            return None
        at = end
    return at


def _parse_host_name(url: bytes, start: int, rules: URLRules) -> tuple[bytes, int]:
    """Read a DNS name (RFC 1123) with percent encoding; one dot at its end does not belong to it."""
    name = bytearray()
    at = start
    dot = True
    while dot:
        label, at, dot = _parse_label(url, at, rules)
        name += label
        if dot:
            name += b"."
    return bytes(name).removesuffix(b"."), at


def _parse_label(url: bytes, start: int, rules: URLRules) -> tuple[bytes, int, bool]:
    """Read one label and its dot; returns the label, where the rest begins, and whether a dot was there."""
    at = span(url, start, LABEL)
    if at > start and url[start] != HYPHEN != url[at - 1] and url[at : at + 1] != b"%":
        dot = url[at : at + 1] == b"."
        return url[start:at], at + dot, dot
    label = bytearray()
    at = start
    last = stop = 0
    while at < len(url):
        encoded = url[at] == ord("%")
        byte = percent_byte(url, at, rules) if encoded else url[at]
        width = 3 if encoded else 1
        if byte in ALPHANUMERIC or (label and byte == ord("-")):
            # Dovecot judges a label of one byte as it is written: an encoded one is no letter.
            last = byte if label else url[at]
            label.append(byte)
            at += width
            continue
        if encoded:
            if rules.strict_host_percent or not label:
                raise InvalidURL(rules.host_percent)
            label += url[at : at + width]
            at += width
        stop = byte
        break
    if label and last not in ALPHANUMERIC and (len(label) > 1 or at < len(url)):
        raise InvalidURL("Invalid domain label in hostname")
    dot = bool(label) and stop == ord(".") and at < len(url)
    if dot and url[at] == stop:
        at += 1
    return bytes(label), at, dot
