"""Where mail is, by 2.3's mail_location and by 2.4's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mail_location import FS, LISTED, Location, from_mail_settings, parse_mail_location

if TYPE_CHECKING:
    from typing import Any

HOME = b"/home/bob"


def parse(text: str, is_inbox: bool = True) -> Location:
    return parse_mail_location(text, HOME, is_inbox=is_inbox)


def dbox(driver: str, root: bytes, **changes: Any) -> Location:
    """A location with dbox's defaults."""
    fields = {"mailboxes": b"mailboxes", "directory_name": b"dbox-Mails", **changes}
    return Location(root, FS, driver=driver, **fields)


OLD = [
    ("maildir:~/Maildir", Location(b"/home/bob/Maildir", inbox=b"/home/bob/Maildir")),
    ("maildir:~/Maildir/", Location(b"/home/bob/Maildir", inbox=b"/home/bob/Maildir")),
    ("maildir:~", Location(b"/home/bob", inbox=b"/home/bob")),
    ("maildir:/m:INBOX=/i/", Location(b"/m", inbox=b"/i")),
    ("maildir:/m:INDEX=/m:CONTROL=~/c", Location(b"/m", inbox=b"/m", control=b"/home/bob/c")),
    ("maildir:/m::x:INDEX=/i", Location(b"/m:x", inbox=b"/m:x", index=b"/i")),
    ("maildir:/m:", Location(b"/m", inbox=b"/m")),
    ("maildir:/m:LAYOUT=fs:UTF-8", Location(b"/m", FS, inbox=b"/m", utf8=True)),
    ("maildir:/m:LAYOUT=fs:DIRNAME=d:MAILBOXDIR=b/", Location(b"/m", FS, mailboxes=b"b", directory_name=b"d")),
    (
        "maildir:/m:LAYOUT=fs:FULLDIRNAME=d",
        Location(b"/m", FS, directory_name=b"d", index_has_directory_name=True),
    ),
    ("sdbox:~/b", dbox("sdbox", b"/home/bob/b")),
    ("dbox:/b", dbox("sdbox", b"/b")),
    (
        "mdbox:/b:ALT=~/a/:INDEX=/i:CONTROL=/c",
        dbox("mdbox", b"/b", alt=b"/home/bob/a", index=b"/i", control=b"/c"),
    ),
    (
        "sdbox:/b:INBOX=/in:FULLDIRNAME=mails:MAILBOXDIR=x",
        dbox(
            "sdbox",
            b"/b",
            inbox=b"/in",
            directory_name=b"mails",
            index_has_directory_name=True,
            mailboxes=b"x",
        ),
    ),
    ("mdbox:/b:DIRNAME=:MAILBOXDIR=", dbox("mdbox", b"/b")),
    ("mbox:~/mail", Location(b"/home/bob/mail", FS, inbox=b"/home/bob/mail/inbox", driver="mbox")),
    (
        "mbox:~/mail:INBOX=/var/mail/bob:INDEX=~/i",
        Location(b"/home/bob/mail", FS, inbox=b"/var/mail/bob", index=b"/home/bob/i", driver="mbox"),
    ),
    ("maildir:/m:VOLATILEDIR=/v:SUBSCRIPTIONS=s:NO-NOSELECT:LISTINDEX=l", Location(b"/m", inbox=b"/m")),
]


@pytest.mark.parametrize(("text", "location"), OLD)
def test_mail_location(text: str, location: Location) -> None:
    assert parse(text) == location


def test_folders() -> None:
    """INBOX of mbox is a file, which others may replace."""
    assert parse("mbox:/m:INBOX=/var/mail/bob:CONTROL=/c").folders() == (b"/m", b"/var/mail", b"/c")
    assert parse("maildir:/m:INBOX=/in:INDEX=/i").folders() == (b"/m", b"/in", b"/i")


def test_root_is_inbox_in_its_own_namespace_only() -> None:
    assert parse("mbox:/m", is_inbox=False).inbox is None
    assert parse("maildir:/m", is_inbox=False) == Location(b"/m")


@pytest.mark.parametrize(
    "text",
    ["", "~/Maildir", "/m", "obox:~/m", "sdbox:", "sdbox:/m:LAYOUT=maildir++", "mbox:/m:LAYOUT=index",
     "mbox:~/mail:LAYOUT=maildir++", "mbox:~/mail:DIRNAME=x", "mbox:~/mail:MAILBOXDIR=x", "mbox:~/mail:ALT=/a",
     "mbox:~/mail:INDEX=MEMORY", "mbox:", "imapc:", "maildir:",
     "maildir:Maildir", "maildir:~root/Maildir", "maildir:/m:INDEX=MEMORY", "maildir:/m:ALT=/a",
     "maildir:/m:LAYOUT=index:INBOX=/i", "maildir:/m:LAYOUT=index:DIRNAME=x",
     "maildir:/m:LAYOUT=index:LISTINDEX=x", "maildir:/m:LAYOUT=index:BROKENCHAR=^",
     "maildir:/m:LAYOUT=Maildir++", "maildir:/m:DIRNAME=x", "maildir:/m:BROKENCHAR=&",
     "maildir:/m:NO-FS-VALIDATION", "maildir:/m:BROKENCHAR=ab", "maildir:/m:BROKENCHAR=x",
     "maildir:/m:NEWKEY", "maildir:/m:INBOX=x"],
)  # fmt: skip
def test_unsupported_mail_location(text: str) -> None:
    with pytest.raises(UnsupportedSetting):
        parse(text)


def new(**settings: str) -> Location:
    return from_mail_settings(settings.get, HOME)


def test_mail_settings() -> None:
    assert new(mail_driver="maildir") == Location(b"/home/bob/Maildir", inbox=b"/home/bob/Maildir")
    assert new(mail_driver="maildir", mail_path="~/m", mail_inbox_path="in") == Location(
        b"/home/bob/m", inbox=b"/home/bob/m/in"
    )
    assert new(
        mail_driver="maildir", mail_path="/m", mail_inbox_path="/i", mail_index_path="/x", mail_control_path="/c"
    ) == Location(b"/m", inbox=b"/i", index=b"/x", control=b"/c")
    assert new(
        mail_driver="maildir", mail_path="/m", mailbox_list_layout="fs", mailbox_list_utf8="yes"
    ) == Location(b"/m", FS, inbox=b"/m", utf8=True)


def test_dbox_settings() -> None:
    assert new(mail_driver="sdbox") == dbox("sdbox", b"/home/bob/sdbox", index_has_directory_name=True)
    assert new(mail_driver="mdbox", mailbox_directory_name_legacy="yes", mail_alt_path="~/alt") == dbox(
        "mdbox", b"/home/bob/mdbox", alt=b"/home/bob/alt"
    )
    assert new(
        mail_driver="sdbox",
        mail_path="/b",
        mail_index_path="/i",
        mailbox_directory_name="d",
        mailbox_root_directory_name="",
        mail_inbox_path="in",
    ) == dbox(
        "sdbox",
        b"/b",
        index=b"/i",
        directory_name=b"d",
        mailboxes=b"",
        inbox=b"/b/in",
        index_has_directory_name=True,
    )


def test_a_list_of_mailboxes() -> None:
    for found in (
        parse_mail_location("sdbox:/b:LAYOUT=index:INDEX=/i", HOME, is_inbox=True),
        new(mail_driver="sdbox", mail_path="/b", mailbox_list_layout="index", mail_index_path="/i"),
    ):
        assert found == Location(b"/b", LISTED, index=b"/i", mailboxes=b"mailboxes", driver="sdbox", escape=b"^")
    for found in (
        parse_mail_location("maildir:/m:LAYOUT=index", HOME, is_inbox=True, escape="|"),
        new(
            mail_driver="maildir",
            mail_path="/m",
            mailbox_list_layout="index",
            mailbox_list_storage_escape_char="|",
        ),
    ):
        assert found == Location(b"/m", LISTED, escape=b"|")
    for name, value in (("mail_inbox_path", "."), ("mailbox_list_storage_escape_char", "")):
        with pytest.raises(UnsupportedSetting, match="an odd one"):
            new(**{"mail_driver": "maildir", "mail_path": "/m", "mailbox_list_layout": "index", name: value})


def test_mbox_settings() -> None:
    assert new(mail_driver="mbox") == Location(b"/home/bob/mail", FS, inbox=b"/home/bob/mail/inbox", driver="mbox")
    assert new(mail_driver="mbox", mail_path="/m", mail_inbox_path="/var/mail/bob") == Location(
        b"/m", FS, inbox=b"/var/mail/bob", driver="mbox"
    )
    for name, value in (("mail_inbox_path", ""), ("mailbox_list_layout", "maildir++"), ("mail_alt_path", "/a")):
        with pytest.raises(UnsupportedSetting):
            new(**{"mail_driver": "mbox", name: value})


@pytest.mark.parametrize("name", ["mailbox_directory_name", "mailbox_root_directory_name"])
def test_a_blank_name_that_mdbox_needs(name: str) -> None:
    with pytest.raises(UnsupportedSetting, match="blank"):
        new(**{"mail_driver": "mdbox", name: ""})


def test_set_to_nothing_is_not_unset() -> None:
    """INBOX is then a mailbox below mail_path, like any other."""
    assert new(mail_driver="maildir", mail_path="/m", mail_inbox_path="") == Location(b"/m", inbox=None)
    assert new(mail_driver="maildir", mail_path="/m", mail_index_path="") == Location(b"/m", inbox=b"/m")
    for name in ("mail_path", "mailbox_list_layout", "mail_driver"):
        with pytest.raises(UnsupportedSetting):
            new(**{"mail_driver": "maildir", "mail_path": "/m", name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [("mail_driver", ""), ("mail_driver", "imapc"), ("mail_alt_path", "/a"), ("mailbox_directory_name", "d"),
     ("mail_path", "m"), ("mail_index_path", "MEMORY"),
     ("mail_index_path", "/m"), ("mailbox_list_layout", "indexed")],
)  # fmt: skip
def test_unsupported_mail_settings(name: str, value: str) -> None:
    with pytest.raises(UnsupportedSetting):
        new(**{"mail_driver": "maildir", "mail_path": "/m", name: value})


def test_without_a_home() -> None:
    with pytest.raises(UnsupportedSetting):
        parse_mail_location("maildir:~/Maildir", None, is_inbox=True)


@given(
    st.text(alphabet="maildir:/~=INBOXDEMRYLT\0", max_size=40).map(lambda text: "maildir:/" + text)
    | st.text(alphabet=":/=ALTINDEXFUR", max_size=40).map(lambda text: "mdbox:/" + text)
    | st.text()
)
def test_any_text(text: str) -> None:
    try:
        assert isinstance(parse(text), Location)
    except UnsupportedSetting:
        pass
