from __future__ import annotations

import pytest

from dovecot_urlauth.config.settings import UNLIMITED, Settings, SettingsError, short_name


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("yes", False, True),
        ("Y", False, True),
        ("1", False, True),
        ("no", True, False),
        ("N", True, False),
        ("0", True, False),
        ("", True, False),
        (None, True, True),
        (None, False, False),
    ],
)
def test_flag(text: str | None, default: bool, value: bool) -> None:
    settings = Settings({} if text is None else {"mail_debug": text})
    assert settings.flag("mail_debug", default) is value


def test_number() -> None:
    settings = Settings({"a": "143", "b": "unlimited", "c": "-1", "d": "٣", "e": "9" * 5000})
    assert settings.number("a", 7) == 143
    assert settings.number("b", 7) == UNLIMITED
    assert settings.number("x", 7) == 7
    for name in ("c", "d", "e"):
        with pytest.raises(SettingsError, match="Not a valid number"):
            settings.number(name)


def test_blocks_stay_escaped_and_words_do_not() -> None:
    settings = Settings({"namespace": "inbox we\\_ird\\sna\\eme \\.", "dirs": "\\ssrv\\sa b\\\\s"})
    assert settings.blocks("namespace") == ("inbox", "we\\_ird\\sna\\eme", "\\.")
    assert settings.words("namespace") == ("inbox", "we ird/na=me", "")
    assert settings.words("dirs") == ("/srv/a", "b\\s")
    assert settings.blocks("absent") == ()


def test_merged_leaves_the_original_alone() -> None:
    settings = Settings({"a": "1", "b": "2"})
    assert settings.merged({"b": "3", "c": "4"}) == Settings({"a": "1", "b": "3", "c": "4"})
    assert settings == Settings({"a": "1", "b": "2"})
    assert "c" not in settings
    assert list(settings) == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "name", "short"),
    [
        ("namespace/inbox", "namespace_prefix", "prefix"),
        ("namespace/inbox", "prefix", "prefix"),
        ("namespace/inbox", "mail_path", "mail_path"),
        ("namespace/inbox/mailbox/Sent", "mailbox_special_use", "special_use"),
        ("mail_attribute/dict/file", "dict_file_path", "path"),
        ("mail_attribute/dict/proxy", "dict_proxy_name", "name"),
        ("mail_attribute/dict/main", "dict_driver", "driver"),
        ("mail_attribute", "dict_driver", "dict_driver"),
        ("", "namespace_prefix", "namespace_prefix"),
    ],
)
def test_short_name(path: str, name: str, short: str) -> None:
    assert short_name(path, name) == short
