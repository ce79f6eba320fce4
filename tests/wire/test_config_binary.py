"""Files of real Dovecots, made from vectors/dovecot-2.4.conf (2.4.5's without its keys), and built ones."""

from __future__ import annotations

import gzip
import struct
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from dovecot_urlauth.config.settings import LISTS
from dovecot_urlauth.config.wanted import TARGET_USER
from dovecot_urlauth.wire import config_binary
from dovecot_urlauth.wire.config_binary import (
    BIG_ENDIAN,
    CHUNK,
    NATIVE,
    FilteredSettings,
    Record,
    read_config,
)
from dovecot_urlauth.wire.config_filter import ConfigFileError, parse_filter

VECTORS = Path(__file__).with_name("vectors")
FORMATS = [
    pytest.param("2.4.1", BIG_ENDIAN),
    pytest.param(
        "2.4.5", NATIVE, marks=pytest.mark.skipif(sys.byteorder == "big", reason="made on a little-endian machine")
    ),
]

IN_INBOX = 'settings_filter_name="namespace/inbox"'


def vector(version: str) -> bytes:
    return gzip.decompress((VECTORS / f"dovecot-{version}.binary.gz").read_bytes())


def read(data: bytes, wanted: tuple[str, ...], byte_order: str) -> dict[str, tuple[FilteredSettings, ...]]:
    return read_config(lambda size, offset: data[offset : offset + size], wanted, byte_order, LISTS)


def build(
    byte_order: str,
    filters: list[bytes],
    blocks: list[tuple[bytes, list[bytes], list[tuple[int, bytes]]]],
    paths: int = 0,
    table: bytes = b"",
) -> bytes:
    """A file; blocks are (name, keys, [(filter's number, settings)])."""

    def u32(*numbers: int) -> bytes:
        return struct.pack(f"{byte_order}{len(numbers)}I", *numbers)

    def u64(*numbers: int) -> bytes:
        return struct.pack(f"{byte_order}{len(numbers)}Q", *numbers)

    native = byte_order == NATIVE
    out = b""
    if native:
        out += u32(paths) + (b"/etc/dovecot/dovecot.conf\0" + bytes(32)) * paths + u32(len(table)) + table
    out += u32(len(filters))
    for text in filters:
        out += text + b"\0" + (u32(0) if native else text + b"\0")
    for name, keys, settings in blocks:
        body = name + b"\0" + u32(len(keys)) + b"".join(key + b"\0" for key in keys) + u32(len(settings))
        for _, content in settings:
            body += u64(len(content)) + content
        indexes, offsets = u32(*(index for index, _ in settings)), u64(*(0 for _ in settings))
        body += bytes(3) + offsets + indexes if native else indexes + offsets
        out += u64(len(body) + 1) + body + b"\0"
    return b"DOVECOT-CONFIG\t1.0\n" + u64(len(out)) + out


@pytest.mark.parametrize(("version", "byte_order"), FORMATS)
def test_a_real_file(version: str, byte_order: str) -> None:
    blocks = read(vector(version), ("mail_driver", "mail_namespace", "mail_user", "mail_path"), byte_order)
    assert list(blocks) == ["mail_driver", "mail_namespace", "mail_user"]
    assert blocks["mail_driver"] == (
        FilteredSettings(parse_filter(""), "", (), (Record("mail_driver", "", "", "maildir"),)),
    )
    in_inbox = next(each for each in blocks["mail_namespace"] if each.filter == parse_filter(IN_INBOX))
    assert [record.value for record in in_inbox.records] == ["inbox", "/", "yes"]
    everywhere = next(each for each in blocks["mail_user"] if each.groups)
    assert everywhere.groups == ("glob/one",)
    assert Record("mail_plugins", "+", "acl", "yes") in everywhere.records
    assert Record("mail_plugins", "$", "quota", "yes") in everywhere.records


@pytest.mark.parametrize(("version", "byte_order"), FORMATS)
def test_a_value_with_variables_is_what_the_administrator_wrote(version: str, byte_order: str) -> None:
    storage = read(vector(version), ("mail_storage",), byte_order)["mail_storage"]
    maildir = next(each for each in storage if each.filter.names == ("maildir",))
    assert Record("mail_path", "", "", "%{home}/Maildir") in maildir.records


@pytest.mark.parametrize(("version", "byte_order"), FORMATS)
def test_every_block_ends_where_its_size_says(version: str, byte_order: str) -> None:
    data = vector(version)
    whole = read(data, ("imap_urlauth", "mail_user", "master_service"), byte_order)
    assert list(whole) == ["imap_urlauth", "mail_user", "master_service"]
    slow = read_config(lambda size, offset: data[offset : offset + 1], tuple(whole), byte_order, LISTS)
    assert slow == whole


@pytest.mark.parametrize("byte_order", [BIG_ENDIAN, NATIVE])
def test_a_built_file(byte_order: str) -> None:
    u32 = struct.Struct(byte_order + "I").pack
    inside = b"\0" + u32(0) + u32(1) + b".hidden\0" + u32(0) + b"+acl\0yes\0" + u32(0) + b".\0\0"
    data = build(
        byte_order,
        [b"", b'protocol="imap"'],
        [
            (b"skipped", [b"x"], [(0, b"\0" + u32(0) + u32(0) + b"1\0")]),
            (b"mail_user", [b"mail_plugins", b"mail_home"], [(0, b"\0" + u32(0)), (1, inside)]),
            (b"broken", [], [(0, b"it is wrong\0" + u32(1) + b"label\0name\0")]),
        ],
        paths=2,
        table=bytes(CHUNK * 2),
    )
    assert read(data, ("mail_user", "broken"), byte_order) == {
        "mail_user": (
            FilteredSettings(
                parse_filter('protocol="imap"'),
                "",
                (),
                (
                    Record("mail_home", "", "", ".hidden"),
                    Record("mail_plugins", "+", "acl", "yes"),
                    Record("mail_plugins", ".", "", ""),
                ),
            ),
        ),
        "broken": (FilteredSettings(parse_filter(""), "it is wrong", ("label/name",), ()),),
    }


def test_what_is_not_wanted_is_not_read() -> None:
    data = build(NATIVE, [b""], [(b"imap", [], [])], table=bytes(CHUNK * 20))
    sizes = []

    def pread(size: int, offset: int) -> bytes:
        sizes.append(size)
        return data[offset : offset + size]

    assert read_config(pread, ("imap",), NATIVE, LISTS) == {"imap": ()}
    assert sum(sizes) <= 4 * CHUNK


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "ends within 15 bytes at offset 0"),
        (b"# a text file, not ours", "doesn't begin with DOVECOT-CONFIG line"),
        (b"DOVECOT-CONFIG\t2.0\n", "Unsupported config file version '2.0'"),
        (build(NATIVE, [b"x"], [(b"a", [], [(0, b"\0" + bytes(4) + b"abcd\0")])]), "Unknown event filter"),
        (build(NATIVE, [b""], [(b"a", [], [(1, b"e\0" + bytes(4))])]), "filter index too high"),
        (build(NATIVE, [b""], [(b"a", [], [(0, b"\0" + bytes(4) + bytes(4) + b"v\0")])]), "key index too high"),
    ],
)
def test_files_that_are_wrong(data: bytes, text: str) -> None:
    with pytest.raises(ConfigFileError, match=text):
        read(data, ("a",), NATIVE)


@pytest.mark.parametrize("wanted", [(b"a", "ends within -2 bytes"), (b"b", "has a wrong size")])
def test_a_block_smaller_than_its_own_name(wanted: tuple[bytes, str]) -> None:
    name, text = wanted
    data = build(NATIVE, [b""], [(name, [], [(0, b"\0" + bytes(4))])])
    at = data.index(name + b"\0")
    with pytest.raises(ConfigFileError, match=text):
        read(data[: at - 8] + bytes(8) + data[at:], ("a",), NATIVE)


@pytest.mark.parametrize("byte_order", [BIG_ENDIAN, NATIVE])
def test_a_file_cut_short_anywhere(byte_order: str) -> None:
    u32 = struct.Struct(byte_order + "I").pack
    data = build(byte_order, [b""], [(b"a", [b"k"], [(0, b"\0" + u32(0) + u32(0) + b"v\0")])])
    assert read(data, ("a",), byte_order)["a"]
    for end in range(len(data)):
        with pytest.raises(ConfigFileError):
            read(data[:end], ("a",), byte_order)


@given(st.integers(0), st.binary(min_size=1, max_size=9))
def test_garbage(position: int, junk: bytes) -> None:
    u32 = struct.Struct(">I").pack
    data = build(BIG_ENDIAN, [b"", b'protocol="x"'], [(b"a", [b"mail_plugins"], [(1, b"\0" + u32(0))])] * 3)
    at = position % len(data)
    with suppress(ConfigFileError):
        read(data[:at] + junk + data[at + len(junk) :], ("a",), BIG_ENDIAN)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0x", b"\0"])
def test_a_block_without_the_end_of_its_table(data: bytes) -> None:
    with pytest.raises(ConfigFileError, match="doesn't end with NUL"):
        config_binary._filter_indexes(data, 1, NATIVE)


def test_a_list_of_strings_that_ends_too_soon() -> None:
    cursor = config_binary._Cursor(lambda size, at: b"a\0b\0c"[at : at + size], NATIVE)
    assert cursor.string() == b"a"
    with pytest.raises(ConfigFileError, match="ends within 2 strings"):
        cursor.strings(2)


# -- what a later Dovecot may bring


def settings_of(byte_order: str, records: list[tuple[int, bytes]]) -> bytes:
    """One filter's settings: records of a key's number, and a value as it stands in the file."""
    u32 = struct.Struct(byte_order + "I").pack
    return b"\0" + u32(0) + b"".join(u32(index) + value for index, value in records)


TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=6).map(str.encode)
PLAIN = TEXTS.map(lambda text: text + b"\0")
LISTED = st.tuples(st.sampled_from([b"+", b"$"]), TEXTS, TEXTS).map(lambda parts: b"%s%s\0%s\0" % parts)
RECORDS = st.lists(st.tuples(st.booleans(), st.integers(0, 2), PLAIN, LISTED), max_size=8)


@pytest.mark.parametrize("byte_order", [BIG_ENDIAN, NATIVE])
@given(RECORDS)
def test_a_list_that_we_have_never_heard_of(byte_order: str, drawn: list[tuple[bool, int, bytes, bytes]]) -> None:
    """Keys 0 to 2 are texts, 3 to 5 lists of which nothing says so: read right, or refused."""
    records = [(key + 3, listed) if is_list else (key, plain) for is_list, key, plain, listed in drawn]
    keys = [b"text%d" % number for number in range(3)] + [b"new%d" % number for number in range(3)]
    data = build(byte_order, [b""], [(b"a", keys, [(0, settings_of(byte_order, records))])])
    expected = []
    for index, value in records:
        operation = value[:1].decode() if index > 2 else ""
        word, _, rest = value[1:].partition(b"\0") if operation else (b"", b"", value)
        name, text = keys[index].decode(), rest[:-1].decode()
        expected.append(Record(name, operation, word.decode(), text))
    try:
        (block,) = read(data, ("a",), byte_order)["a"] if records else (None,)
    except ConfigFileError:
        return
    assert block is None or list(block.records) == expected


@pytest.mark.parametrize("byte_order", [BIG_ENDIAN, NATIVE])
@pytest.mark.parametrize("value", [b"+-_\0", b".\0", b"$HOME\0", b"+\0"])
def test_a_text_that_begins_as_a_list(byte_order: str, value: bytes) -> None:
    records = [(0, value), (1, b"yes\0"), (0, value)]
    content = settings_of(byte_order, records)
    data = build(byte_order, [b""], [(b"a", [b"recipient_delimiter", b"other"], [(0, content)])])
    (block,) = read(data, ("a",), byte_order)["a"]
    assert [record.value.encode() + b"\0" for record in block.records] == [value, b"yes\0", value]


def test_what_can_be_read_in_two_ways_is_refused() -> None:
    u32 = struct.Struct(">I").pack
    # a text "+" and the key 0 with a text "abcx", or a list's word "" with "" and the key 0x6162 with "cx"
    content = b"\0" + u32(0) + u32(0) + b"+\0" + b"\0" + b"\0\0ab" + b"cx\0"
    keys = [b"k"] * 0x6163
    with pytest.raises(ConfigFileError, match="in two ways"):
        read(build(BIG_ENDIAN, [b""], [(b"a", keys, [(0, content)])]), ("a",), BIG_ENDIAN)


def test_there_is_an_end_to_trying() -> None:
    content = settings_of(NATIVE, [(0, b"+a\0")] * 2000) + b"\xff"
    with pytest.raises(ConfigFileError):
        read(build(NATIVE, [b""], [(b"a", [b"k"], [(0, content)])]), ("a",), NATIVE)


@pytest.mark.parametrize(("version", "byte_order"), FORMATS)
@given(st.integers(0), st.binary(max_size=8), st.integers(0, 8))
@effort(max_examples=300, deadline=None)
def test_a_real_file_that_was_changed(version: str, byte_order: str, position: int, put: bytes, cut: int) -> None:
    """Never anything but settings or a refusal, which lets doveconf be asked."""
    data = vector(version)
    at = position % len(data)
    with suppress(ConfigFileError):
        read(data[:at] + put + data[at + cut :], TARGET_USER.blocks, byte_order)


@pytest.mark.parametrize("byte_order", [BIG_ENDIAN, NATIVE])
def test_a_block_with_another_table_is_refused(byte_order: str) -> None:
    data = build(byte_order, [b""], [(b"a", [b"k"], [(0, settings_of(byte_order, [(0, b"v\0")]))])])
    assert read(data, ("a",), byte_order)["a"]
    at = data.index(b"v\0") + 2
    size = struct.Struct(byte_order + "Q")
    start = data.index(b"a\0") - 8
    (before,) = size.unpack(data[start : start + 8])
    grown = data[:start] + size.pack(before + 8) + data[start + 8 : at] + bytes(8) + data[at:]
    with pytest.raises(ConfigFileError, match="that are not known"):
        read(grown, ("a",), byte_order)
