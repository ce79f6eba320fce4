"""From settings to what the native store needs; what is neither obeyed nor irrelevant is left to Dovecot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.config.attribute_dict import FileDictSettings
from dovecot_urlauth.config.crypt_settings import CryptSettings, SetKey
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mail_location import Location
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2
from tests.store.user import SETTINGS_2_4, user

if TYPE_CHECKING:
    from dovecot_urlauth.config.native_settings import NativeSettings
    from dovecot_urlauth.dialect.dialect import Dialect

HOME = Path("/home/bob")


def old(**changes: str) -> NativeSettings:
    return native_settings(
        user(HOME, {key.replace("__", "/"): value for key, value in changes.items()}), DOVECOT_2_3_19
    )


def new(changes: dict[str, str] | None = None) -> NativeSettings:
    return native_settings(user(HOME, changes, SETTINGS_2_4), DOVECOT_2_4_2)


def test_both_languages_say_the_same() -> None:
    for settings in (old(), new()):
        assert settings.attributes == FileDictSettings(b"/home/bob/attributes")
        (inbox,) = settings.namespaces
        assert inbox.location == Location(b"/home/bob/Maildir", inbox=b"/home/bob/Maildir")
        assert (inbox.prefix, inbox.separator, inbox.inbox) == (b"", b".", True)
    assert new().normalizes_names_to_nfc
    assert not native_settings(user(HOME, None, SETTINGS_2_4), DOVECOT_2_4_1).normalizes_names_to_nfc
    assert not new({"mailbox_list_normalize_names_to_nfc": "no"}).normalizes_names_to_nfc
    assert not old(maildir_broken_filename_sizes="yes").trusts_sizes_in_names


def test_compressed_mail_is_looked_for_if_the_plugin_is_loaded() -> None:
    assert old().compressions == new().compressions == old(plugin__zlib_save="gz").compressions == ()
    assert old(mail_plugins="quota, zlib").compressions == ("gz", "bz2", "xz", "lz4", "zstd")
    assert new({"mail_plugins": "quota mail_compress"}).compressions == ("gz", "bz2", "lz4", "zstd")


def test_keys_of_mail_crypt_in_2_3() -> None:
    assert old().crypt is None
    crypt = old(
        mail_plugins="mail_crypt",
        plugin__mail_crypt_global_private_key="one",
        plugin__mail_crypt_global_private_key_password="p1",
        plugin__mail_crypt_global_private_key2="two",
        plugin__mail_crypt_global_private_key4="not counted",
        plugin__mail_crypt_private_key="given",
        plugin__mail_crypt_private_password="%u",
    ).crypt
    assert crypt == CryptSettings((SetKey("one", "p1"), SetKey("two", "")), (SetKey("given", ""),), "bob")


def test_keys_of_mail_crypt_in_2_4() -> None:
    plugin = {"mail_plugins": "mail_crypt"}
    assert new(plugin).crypt == CryptSettings((), (), "")
    keys = {
        "crypt_global_private_key": "main old",
        "crypt_global_private_key/main/crypt_private_key_file": "/etc/key\nPEM\nof it",
        "crypt_global_private_key/old/crypt_private_key_file": "\ninline",
        "crypt_global_private_key/old/crypt_private_key_password": "%{user}",
        "crypt_user_key_encryption_key": "x",
        "crypt_user_key_encryption_key/x/crypt_private_key_file": "\nother",
        "crypt_user_key_password": "pw",
    }
    main, given = SetKey("PEM\nof it", ""), SetKey("other", "")
    assert new(plugin | keys).crypt == CryptSettings((main, SetKey("inline", "bob")), (given,), "pw")
    with pytest.raises(UnsupportedSetting, match="crypt_global_private_key main has the content of no file"):
        new(plugin | keys | {"crypt_global_private_key/main/crypt_private_key_file": "/etc/key"})
    with pytest.raises(UnsupportedSetting):
        new(plugin | {"crypt_user_key_password": "%{never_heard_of}"})


def test_a_blank_inbox_path() -> None:
    for changes in ({"mail_inbox_path": ""}, {"mail_inbox_path": ".", "namespace/inbox/mail_inbox_path": ""}):
        (inbox,) = new(changes).namespaces
        assert inbox.location == Location(b"/home/bob/Maildir", inbox=None)


def test_a_blank_location_of_a_namespace_is_mail_location_in_2_3() -> None:
    (inbox,) = old(namespace__inbox__location="").namespaces
    assert inbox.location is not None


UNSUPPORTED = {
    "mail_full_filesystem_access": "yes",
    "mail_nfs_index": "yes",
    "mail_nfs_storage": "Yes",
    "mailbox_list_validate_fs_names": "no",
    "mail_never_heard_of": "",
    "mailbox_never_heard_of": "x",
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_settings_that_change_what_is_read(name: str) -> None:
    with pytest.raises(UnsupportedSetting, match=name):
        new({name: UNSUPPORTED[name]})
    (inbox,) = new({f"namespace/inbox/{name}": UNSUPPORTED[name]}).namespaces
    assert inbox.location is None
    assert name in inbox.why_not


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mail_log_prefix", "x"),
        ("mail_crypt_save_version", "2"),
        ("mail_fsync", "never"),
        ("mailbox_list_validate_fs_names", "Y"),
        ("mail_nfs_index", "no"),
        ("maildir", "/home/x"),
        ("brand_new", "x"),
        ("namespace/inbox/mailbox/Sent/auto", "subscribe"),
        ("namespace/inbox/mailbox/Sent/mail_fsync", "never"),
        ("namespace/inbox/mailbox/Sent/mail_nfs_index", "no"),
        ("namespace/inbox/list", "children"),
    ],
)
def test_settings_that_do_not(key: str, value: str) -> None:
    assert new({key: value}) == new()


@pytest.mark.parametrize(
    "key",
    [
        "namespace/inbox/mailbox/Sent/driver",
        "namespace/inbox/mailbox/Sent/mail_path",
        "namespace/inbox/mail_attribute/dict",
        "namespace/inbox/alias_for",
    ],
)
def test_what_a_namespace_may_not_have(key: str) -> None:
    (inbox,) = new({key: "x"}).namespaces
    assert inbox.location is None
    assert key.rpartition("/")[2] in inbox.why_not or "mail_attribute" in inbox.why_not


def test_locks_of_mbox_are_looked_for_outside_of_namespaces() -> None:
    mbox = {"mail_driver": "mbox", "mail_path": "~/mail"}
    (inbox,) = new({**mbox, "mbox_read_locks": "fcntl"}).namespaces
    assert inbox.location is not None
    (inbox,) = new({**mbox, "namespace/inbox/mbox_read_locks": "fcntl"}).namespaces
    assert (inbox.location, inbox.why_not) == (None, "namespace has mbox_read_locks")


def test_an_alias_is_left_to_dovecot_and_its_target_is_not() -> None:
    for target in ("Mail.", ""):
        inbox, alias = old(
            namespace="inbox alias",
            namespace__inbox__prefix=target,
            namespace__alias__prefix="Old.",
            namespace__alias__alias_for=target,
        ).namespaces
        assert inbox.location is not None
        assert (alias.prefix, alias.location, alias.why_not) == (b"Old.", None, "namespace has alias_for")


def test_a_tilde_out_of_a_variable_is_a_letter_to_dovecot() -> None:
    bob = user(HOME, {"mail_path": "%{userdb:disk}"}, SETTINGS_2_4)
    bob.fields = {"disk": "~/other"}
    (inbox,) = native_settings(bob, DOVECOT_2_4_2).namespaces
    assert (inbox.location, inbox.why_not) == (None, "mail_path expands to ~/other")


def test_every_folder_of_an_mdbox() -> None:
    """What the sandbox lets through."""
    settings = old(mail_location="mdbox:~/b:ALT=/alt:INDEX=/index:CONTROL=/control")
    assert settings.folders() == (b"/home/bob/b", b"/index", b"/control", b"/alt", b"/home/bob")


@pytest.mark.parametrize(("dialect", "has_it"), [(DOVECOT_2_4_1, False), (DOVECOT_2_4_2, True)])
@pytest.mark.parametrize("explicit", [None, "yes", "no"])
def test_whether_the_index_path_has_the_directory_name(
    dialect: Dialect, has_it: bool, explicit: str | None
) -> None:
    changes = {"mail_driver": "sdbox", "mail_index_path": "/index"}
    if explicit:
        changes["mailbox_directory_name_legacy"] = explicit
        has_it = explicit == "no"
    (inbox,) = native_settings(user(HOME, changes, SETTINGS_2_4), dialect).namespaces
    assert inbox.location is not None
    assert inbox.location.index_has_directory_name == has_it


@pytest.mark.parametrize(
    ("first", "second", "is_clear"),
    [
        ("mdbox:/b", "mdbox:/b", True),
        ("mdbox:/b", "mdbox:/c:INDEX=/i", True),
        ("mdbox:/b", "sdbox:/b:INDEX=/i", True),
        ("sdbox:/b", "sdbox:/b:INDEX=/i", True),
        ("mdbox:/b", "mdbox:/b:INDEX=/i", False),
        ("mdbox:/b:ALT=/a", "mdbox:/b", False),
    ],
)
def test_one_mdbox_storage_with_two_indexes(first: str, second: str, is_clear: bool) -> None:
    found = old(
        namespace="inbox more",
        namespace__inbox__location=first,
        namespace__more__location=second,
        namespace__more__prefix="more/",
        namespace__more__separator="/",
        namespace__inbox__separator="/",
    ).namespaces
    assert [each.location is not None for each in found] == [is_clear, is_clear]
    assert {each.why_not for each in found} == {"" if is_clear else "two namespaces share an mdbox storage"}


def test_external_attachments() -> None:
    there = b"/home/bob/att"
    assert old().attachments is new().attachments is None
    for filesystem, expected in (
        (None, there), ("posix", there), ("sis posix", there), ("sis:posix", there), ("sis-queue /q:posix", there),
        ("sis", None), ("posix:prefix=x", None), ("crypt:posix", None), ("", None),
    ):  # fmt: skip
        changes = {} if filesystem is None else {"mail_attachment_fs": filesystem}
        assert old(mail_attachment_dir="%h/att", **changes).attachments == expected, filesystem
    assert old(mail_attachment_dir="%{no_such}").attachments is None
    path = {"mail_ext_attachment_path": "~/att"}
    for blocks, expected in (
        ({"mail_ext_attachment/fs": "posix"}, there),
        ({"mail_ext_attachment/fs": "sis a", "mail_ext_attachment/fs/a/driver": "posix"}, there),
        ({"mail_ext_attachment/fs": "sis"}, None),
        ({"mail_ext_attachment/fs": "posix", "mail_ext_attachment/fs/posix/prefix": "x"}, None),
        ({}, None),
    ):
        assert new(path | blocks).attachments == expected, blocks
    for odd in ("%{owner_home}/att", "%{no_such}"):
        assert new({"mail_ext_attachment_path": odd, "mail_ext_attachment/fs": "posix"}).attachments is None
    assert there in old(mail_attachment_dir="%h/att").folders()


def test_a_namespace_with_attachments_of_its_own() -> None:
    changes = {"mail_driver": "sdbox", "namespace/inbox/mail_ext_attachment_path": "/att"}
    [found] = new(changes).namespaces
    assert (found.location, found.why_not) == (None, "namespace has mail_ext_attachment_path")
    [found] = new({**changes, "mail_driver": "maildir"}).namespaces
    assert found.location is not None


def test_the_index_of_the_mailbox_list() -> None:
    settings = {"mailbox_list_layout": "index", "mailbox_list_index": "yes"}
    [found] = new(settings).namespaces
    assert (found.separator, found.location is not None) == (b"~", True)
    for name, value in (("mailbox_list_index", "no"), ("mailbox_list_index_prefix", "dir/list")):
        [found] = new({**settings, name: value}).namespaces
        assert (found.location, found.why_not) == (None, f"{name} is set")
    [found] = new({**settings, "namespace/inbox/separator": "^"}).namespaces
    assert (found.location, found.why_not) == (None, "namespace separator is the escape character")


def test_what_only_dovecot_understands_of_the_user() -> None:
    bob = user(HOME)
    bob.not_understood = "mail_home"
    with pytest.raises(UnsupportedSetting, match="mail_home"):
        native_settings(bob, DOVECOT_2_3_19)


def test_a_prefix_without_the_separator() -> None:
    with pytest.raises(UnsupportedSetting, match="does not end with the separator"):
        old(namespace__inbox__prefix="INBOX/", namespace__inbox__separator=".")


def test_no_namespace_and_no_dictionary() -> None:
    (only,) = old(namespace="").namespaces
    assert only.inbox
    with pytest.raises(UnsupportedSetting, match="no mail_attribute_dict"):
        old(mail_attribute_dict="")
    with pytest.raises(UnsupportedSetting, match="dictionary redis:"):
        new({"mail_attribute/dict": "redis"})


def test_second_names_of_mailboxes() -> None:
    names = {
        "plugin__mailbox_alias_old": "Sent",
        "plugin__mailbox_alias_new": "Sent Items",
        "plugin__mailbox_alias_old2": "Sent",
        "plugin__mailbox_alias_new2": "Sent by %u",
        "plugin__mailbox_alias_new3": "without an old one",
        "plugin__mailbox_alias_old4": "Sent",
        "plugin__mailbox_alias_new4": "behind a gap",
    }
    assert old(**names).aliases == old(mail_plugins="mailbox_alias").aliases == ()
    found = old(mail_plugins="mailbox_alias", **names).aliases
    assert found == ((b"Sent Items", b"Sent"), (b"Sent by bob", b"Sent"))
    with pytest.raises(UnsupportedSetting, match="mail_plugins has mailbox_alias"):
        new({"mail_plugins": "mailbox_alias"})


def test_escape_characters() -> None:
    def escapes(settings: NativeSettings) -> tuple[bytes, bytes]:
        [inbox] = settings.namespaces
        assert inbox.location is not None
        return inbox.location.escape, inbox.location.visible_escape

    assert escapes(old()) == escapes(new()) == (b"", b"")
    assert escapes(old(mail_plugins="listescape")) == (b"\\", b"")
    assert escapes(old(mail_plugins="listescape", plugin__listescape_char="%^")) == (b"%", b"")
    assert escapes(old(mail_location="maildir:~/m:BROKENCHAR=^", plugin__listescape_char="%")) == (b"", b"^")
    both = {"mailbox_list_storage_escape_char": "%", "mailbox_list_visible_escape_char": "^"}
    assert escapes(new(both)) == (b"%", b"^")
    assert escapes(new({f"namespace/inbox/{name}": value for name, value in both.items()})) == (b"%", b"^")
    for bad in ("&", "ab", "x", "\u00e4"):
        [inbox] = new({"mailbox_list_storage_escape_char": bad}).namespaces
        assert inbox.why_not == f"escape character of mailbox names is {bad}"
