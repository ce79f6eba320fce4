"""Any text is a filter that writes itself down again, or ConfigFileError."""

from __future__ import annotations

from dovecot_urlauth.wire.config_filter import NAME_FIELD, ConfigFileError, Filter, parse_filter


def seeds() -> list[bytes]:
    return [
        b'protocol="imap" AND settings_filter_name="namespace/inbox"',
        b'settings_filter_name="dict/file" AND settings_filter_name="mail_attribute"',
        b'NOT service="a\\"b\\\\c" AND local_ip="::1"',
        b"",
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _written(filter: Filter) -> str:
    names = [f"{NAME_FIELD}={_quoted(name)}" for name in reversed(filter.names)]
    terms = [f"{'NOT ' * term.negated}{term.field}={_quoted(term.value)}" for term in filter.terms]
    return " AND ".join(names + terms)


def check(data: bytes) -> None:
    try:
        parsed = parse_filter(data.decode("utf-8", "surrogateescape"))
    except ConfigFileError:
        return
    assert parse_filter(_written(parsed)) == parsed
