"""Domains as Dovecot 2.4.5 shows them in envelopes: mapped as UTS #46 says, punycode decoded (lib/idna.c).

The mapping is Python's own lower case and NFKC instead of UTS #46's table; they differ for a few code points
that no registry allows.
"""

from __future__ import annotations

_LABEL_LIMIT = 63
_DOMAIN_LIMIT = 254
_ASCII = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def shown(domain: bytes) -> bytes:
    """The domain for people; unchanged if it breaks a rule of UTS #46."""
    if domain.isascii() and b"xn--" not in domain.lower():
        lower = domain.lower()
        labels = lower.decode().split(".")
        return lower if _fits(labels) and all(_ASCII.issuperset(label) for label in labels) else domain
    try:
        return _mapped(domain.decode())
    except ValueError:
        return domain


def _fits(labels: list[str]) -> bool:
    lengths = [len(label) for label in labels]
    return 0 < min(lengths) and max(lengths) <= _LABEL_LIMIT and sum(lengths) + len(lengths) <= _DOMAIN_LIMIT + 1


def _mapped(domain: str) -> bytes:
    """Map a domain and decode its A-labels; raises ValueError."""
    from unicodedata import normalize

    text = normalize("NFKC", domain.replace("\u3002", ".").replace("\xad", "").lower())
    labels = text.split(".")
    if not _fits([label if label.isascii() else "xn--" + _punycode(label) for label in labels]):
        raise ValueError(domain)
    return ".".join(_unicode_label(label) for label in labels).encode()


def _punycode(label: str) -> str:
    return label.encode("punycode").decode("ascii")


def _unicode_label(label: str) -> str:
    from unicodedata import category, normalize

    if label.startswith("xn--"):
        encoded, label = label, label[4:].encode("ascii").decode("punycode")
        if label.isascii() or normalize("NFKC", label.lower()) != label:
            raise ValueError(encoded)
    if category(label[0]).startswith("M"):
        raise ValueError(label)
    for letter in label:
        if letter not in _ASCII and (letter.isascii() or category(letter)[0] in "CZ"):
            raise ValueError(label)
    return label
