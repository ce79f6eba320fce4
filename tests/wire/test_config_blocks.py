"""What doveconf prints, read as the parsed file is: the texts beside it are of the same configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config.flatten import flatten
from dovecot_urlauth.config.settings import LISTS
from dovecot_urlauth.config.wanted import TARGET_USER
from dovecot_urlauth.wire.config_binary import FilteredSettings, Record, read_config
from dovecot_urlauth.wire.config_blocks import read_blocks
from dovecot_urlauth.wire.config_filter import ConfigFileError, Filter, Term
from tests.wire.test_config_binary import FORMATS, VECTORS, vector


@pytest.mark.parametrize(("version", "byte_order"), FORMATS)
@pytest.mark.parametrize("protocol", ["imap-urlauth-worker", "imap"])
def test_both_ways_lead_to_the_same_settings(version: str, byte_order: str, protocol: str) -> None:
    """Whatever is set; what is a default is not printed, and inside a block names are short."""
    data = vector(version)
    blocks = read_config(lambda size, at: data[at : at + size], TARGET_USER.blocks, byte_order, LISTS)
    parsed = flatten(blocks, protocol, TARGET_USER.service)
    text = (VECTORS / f"doveconf-{version}.txt").read_text()
    printed = flatten(read_blocks(text, LISTS), protocol, TARGET_USER.service)
    assert printed.pop("dovecot_config_version") == version
    assert printed.pop("maildir/copy_with_hardlinks") == "no"
    assert printed.items() <= parsed.items()
    assert {"mail_path", "mail_plugins", "namespace/inbox/mail_path", "mail_attribute/dict"} <= printed.keys()
    assert printed.get("mail_debug", "no") == ("yes" if protocol == "imap" else "no")


def test_a_text() -> None:
    read = read_blocks(
        """
        # a comment
        a = b
        "quoted" = " x \\"y\\" \\\\ "
        empty =
        mail_plugins = acl quota
        import_environment = TZ A=b
        listen =
        @label = name
        protocol !imap {
          mail_plugins {
            acl = no
          }
          namespace inbox {
            x = y
          }
        }
        group @label name {
          maildir {
            z = 1
          }
        }
        """,
        LISTS,
    )
    not_imap = (Term("protocol", "imap", True),)
    everywhere = (
        Record("a", "", "", "b"),
        Record("quoted", "", "", ' x "y" \\ '),
        Record("empty", "", "", ""),
        Record("mail_plugins", "+", "acl", "yes"),
        Record("mail_plugins", "$", "quota", "yes"),
        Record("import_environment", "+", "TZ", "yes"),
        Record("import_environment", "$", "A", "b"),
        Record("listen", ".", "", ""),
    )
    plugins = (Record("mail_plugins", "+", "acl", "no"), Record("namespace", "", "", "inbox"))
    assert read == {
        "": (
            FilteredSettings(Filter((), ()), "", ("label/name",), everywhere),
            FilteredSettings(Filter((), not_imap), "", (), plugins),
            FilteredSettings(Filter(("namespace/inbox",), not_imap), "", (), (Record("x", "", "", "y"),)),
            FilteredSettings(Filter(("@label/name",), ()), "", (), ()),
            FilteredSettings(Filter(("@label/name", "maildir"), ()), "", (), (Record("z", "", "", "1"),)),
        )
    }


@pytest.mark.parametrize(
    "text",
    [
        "}", "a {", "a = b\n}", "mail_plugins {\n acl = yes", "mail_plugins {\n acl\n}", "word", "a =b", " = b",
        'a = "b', 'a = "', 'dict "x y" {\n}', "dict x\\sy {\n}", "group mine {\n}",
        "protocol imap {\n group @a b {\n }\n}", "a = {\n}", "<<<", "key{ = x",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ConfigFileError):
        read_blocks(text, LISTS)


@given(
    st.lists(
        st.sampled_from(["a = b", "}", "x {", "dict y {", "mail_plugins {", "@a = b", '"', "# c"]), max_size=9
    )
)
def test_no_text_fails(lines: list[str]) -> None:
    try:
        read_blocks("\n".join(lines), LISTS)
    except ConfigFileError:
        return


def test_the_vectors_are_there() -> None:
    assert len(list(Path(VECTORS).glob("doveconf-*.txt"))) == len(FORMATS)
