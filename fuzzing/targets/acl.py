"""Any ACL file is entries with rights, or AclSyntaxError; a name matches a pattern or does not."""

from __future__ import annotations

from dovecot_urlauth.store.native.acl.entries import AclSyntaxError, matches, parse_file, parse_global_file


def seeds() -> list[bytes]:
    return [
        b"owner lrwstipekxa\nuser=bob lr :shared\n-anyone r\n",
        b'# comment\n"user=a \\"b\\"" lookup read\ngroup=x\n',
        b'INBOX owner lr\nPublic/* user=bob -lr\n"a b" anyone l\n',
        b"authenticated \nowner\n\n",
    ]


def check(data: bytes) -> None:
    for parse in (parse_file, lambda text: parse_file(text, is_global=True)):
        try:
            for entry in parse(data):
                assert isinstance(entry.name, bytes)
        except AclSyntaxError:
            pass
    try:
        for pattern, _ in parse_global_file(data):
            matches(b"INBOX/a", pattern)
    except AclSyntaxError:
        pass
