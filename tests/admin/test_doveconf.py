"""What doveconf prints is read back; its absence and its complaints become one error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dovecot_urlauth.admin import doveconf
from dovecot_urlauth.admin.doveconf import Block, Configuration, DoveconfError, parse, read_configuration

PRINTED = """\
# 2.4.1-4 (7d8c0e5759): /etc/dovecot/dovecot.conf
# OS: Linux {
base_dir = /run/dovecot
imap_urlauth_host =
auth_username_format = %{user | lower}
imap_capability {
  URLAUTH = yes
  "URLAUTH=BINARY" = yes
}
service auth {
  user = $SET:default_internal_user
  unix_listener token-login/tokenlogin {
    mode = 0666
  }
}
mail_attribute {
  dict file {
    path = %{home}/dovecot-attributes
  }
}
}
"""


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ('" imap submission"', " imap submission"),
        (r'"say \"no\" \\"', 'say "no" \\'),
        ('"', '"'),
        ('one "two"', 'one "two"'),
        ('""', ""),
    ],
)
def test_quotes_are_doveconfs(printed: str, value: str) -> None:
    assert parse(f"name = {printed}\n").settings == {"name": value}


@pytest.mark.parametrize(
    ("printed", "served"),
    [
        ('protocols = " imap"\n', True),
        ("protocols = imap lmtp\n", True),
        ("protocols = imaps\n", False),
        ("protocols {\n  imap = yes\n}\n", True),
        ("protocols {\n  imap = no\n}\n", False),
        ("", False),
    ],
)
def test_protocols_in_each_form(printed: str, served: bool) -> None:
    assert Configuration("2.4.1", "", parse(printed), Block(), Block()).serves("imap") is served


def test_parse() -> None:
    assert parse(PRINTED) == Block(
        {"base_dir": "/run/dovecot", "imap_urlauth_host": "", "auth_username_format": "%{user | lower}"},
        {
            "imap_capability": Block({"URLAUTH": "yes", "URLAUTH=BINARY": "yes"}),
            "service auth": Block(
                {"user": "$SET:default_internal_user"},
                {"unix_listener token-login/tokenlogin": Block({"mode": "0666"})},
            ),
            "mail_attribute": Block({}, {"dict file": Block({"path": "%{home}/dovecot-attributes"})}),
        },
    )


def test_absent_and_empty_settings_have_the_default() -> None:
    block = parse("a =\nb = 1\n")
    assert [block.get(name, "x") for name in ("a", "b", "c")] == ["x", "1", "x"]
    assert block.block("service x").is_empty


@pytest.mark.parametrize(
    ("version", "numbers", "is_2_3"),
    [
        ("2.3.19.1", (2, 3, 19, 1), True),
        ("2.4.1-4", (2, 4, 1), False),
        ("2.4.5", (2, 4, 5), False),
        ("0.0.0-37075+f28b5a92ec", (9999,), False),
    ],
)
def test_versions_compare_as_numbers(version: str, numbers: tuple[int, ...], is_2_3: bool) -> None:
    configuration = Configuration(version, "", Block(), Block(), Block())
    assert (configuration.numbers, configuration.is_2_3) == (numbers, is_2_3)


@pytest.mark.parametrize("text", ["$default_internal_user", "$SET:default_internal_user", "dovecot"])
def test_a_setting_that_stands_for_another(text: str) -> None:
    configuration = Configuration("2.4.1", "", Block({"default_internal_user": "dovecot"}), Block(), Block())
    assert configuration.value_of(text) == "dovecot"


@pytest.fixture
def fake_doveconf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in doveconf's place."""

    def put(script: str) -> None:
        path = tmp_path / "doveconf"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


def test_each_question_goes_to_doveconf(fake_doveconf: Callable[[str], None], tmp_path: Path) -> None:
    fake_doveconf(f'echo "$*" >> {tmp_path}/asked\necho "# 2.3.19.1 (x): /some/file"\n')
    configuration = read_configuration("/some/file")
    assert (configuration.version, configuration.file) == ("2.3.19.1", "/some/file")
    viewed = " ".join(doveconf.VIEWED)
    assert (tmp_path / "asked").read_text().splitlines() == [
        "-c /some/file -a",
        "-c /some/file service",
        f"-c /some/file -f protocol=imap {viewed}",
        f"-c /some/file -f service=imap-urlauth-worker {viewed}",
    ]


def test_doveconf_complains(fake_doveconf: Callable[[str], None]) -> None:
    fake_doveconf("echo 'doveconf: Fatal: no such file' >&2\nexit 89\n")
    with pytest.raises(DoveconfError, match="doveconf: Fatal: no such file"):
        read_configuration(None)


def test_doveconf_fails_silently(fake_doveconf: Callable[[str], None]) -> None:
    fake_doveconf("exit 3\n")
    with pytest.raises(DoveconfError, match="status 3"):
        read_configuration(None)


def test_something_else_answers(fake_doveconf: Callable[[str], None]) -> None:
    fake_doveconf("echo hello\n")
    with pytest.raises(DoveconfError, match="no version but 'hello'"):
        read_configuration(None)


def test_no_doveconf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doveconf, "DOVECONF", str(tmp_path / "doveconf"))
    with pytest.raises(DoveconfError, match="No such file"):
        read_configuration(None)
