"""What one user meets: the way in, a place for keys, and which store reads the mail."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin import check_mail
from dovecot_urlauth.admin.check_mail import check_mail as check
from dovecot_urlauth.admin.doveconf import Configuration, parse
from dovecot_urlauth.admin.live import account
from dovecot_urlauth.config.settings import Settings, SettingsError
from tests.admin.live.stand_ins import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="lends itself the ids of users")

UID = "65534"
"""Nobody's."""
OURS = "#!/usr/bin/python3 -IBS\n# dovecot_urlauth\n"


class Site:
    """A stand-in Dovecot whose settings a test chooses."""

    def __init__(self, stand_in: StandIn, folder: Path) -> None:
        self.stand_in = stand_in
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        os.chown(self.home, int(UID), int(UID))
        self.executable = "ours"
        self.services = ""
        self.dictionary = "file:%h/keys"
        self.mail_location = "maildir:~/Maildir"
        (stand_in.folder / "libexec/ours").write_text(OURS)
        (stand_in.folder / "master.pid").write_text(f"{os.getpid()}\n")
        (stand_in.folder / "imap-urlauth").chmod(0o666)
        self.users(home=str(self.home))

    def users(self, **fields: str) -> None:
        self.stand_in.configure_users({"anonymous": {}, "bob": {"uid": UID, "gid": UID, **fields}})

    def settings(self) -> Settings:
        return Settings({"mail_location": self.mail_location, "mail_attribute_dict": self.dictionary})

    def configuration(self) -> Configuration:
        base = f"base_dir = {self.stand_in.folder}\nlibexec_dir = {self.stand_in.folder}/libexec\n"
        worker = f"service imap-urlauth-worker {{\n  executable = {self.executable}\n}}\n"
        view = parse(f"mail_attribute_dict = {self.dictionary}\n")
        return Configuration("2.3.19.1", "/x", parse(base + worker + self.services), view, view)

    def report(self, user: str | None = None) -> list[str]:
        return [str(finding) for finding in check(self.configuration(), user)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that users may go into, as they may not into pytest's own."""
    with tempfile.TemporaryDirectory(prefix="urlauth-", dir="/var/lib") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    (folder / "run").mkdir(mode=0o755)
    made = StandIn(folder / "run")
    monkeypatch.setattr(account, "DOVEADM", str(made.doveadm))
    yield made
    made.close()


@pytest.fixture
def site(stand_in: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(stand_in, folder)
    monkeypatch.setattr(check_mail, "read_settings", lambda environment, source, wanted: made.settings())
    return made


NATIVE = "ok    mail of bob is read natively"


def test_all_is_well(site: Site) -> None:
    assert site.report() == [NATIVE]
    assert site.report("bob") == [NATIVE]


def closed_base_dir(site: Site) -> None:
    site.stand_in.folder.chmod(0o700)


def closed_socket(site: Site) -> None:
    (site.stand_in.folder / "imap-urlauth").chmod(0o600)


def no_home(site: Site) -> None:
    site.users()
    site.mail_location = f"maildir:{site.folder}/%u"


def keys_of_root(site: Site) -> None:
    (site.folder / "etc").mkdir()
    site.dictionary = f"file:{site.folder}/etc/keys/%u"


def keys_that_root_wrote(site: Site) -> None:
    (site.home / "keys").touch(0o600)


def closed_dict(site: Site) -> None:
    site.dictionary = "proxy::keys"
    (site.stand_in.folder / "dict").write_text("")
    (site.stand_in.folder / "dict").chmod(0o660)


def only_native(site: Site) -> None:
    site.executable = "ours --store=native"
    site.mail_location = "imapc:~/mail"


def too_low(site: Site) -> None:
    site.stand_in.configure_users({"bob": {"uid": "7", "gid": UID, "home": "/"}})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (closed_base_dir, "FAIL  base_dir {base} is closed to bob, whose imap looks for imap-urlauth in it"),
        (closed_socket, "FAIL  socket imap-urlauth is closed to bob, as whom imap connects to it"),
        (
            no_home,
            "FAIL  bob has no home in the userdb, and the attribute dictionary is in it: nobody like this can ",
        ),
        (
            keys_of_root,
            "FAIL  bob may not write to {folder}/etc, so that no key can be kept in {folder}/etc/keys/bob",
        ),
        (keys_that_root_wrote, "FAIL  bob may not read {folder}/home/keys, where the keys of its mailboxes are"),
        (closed_dict, "FAIL  socket dict is closed to bob, so that no key can be kept or read"),
        (only_native, "FAIL  mail of bob cannot be read natively, and --store=native allows nothing else: "),
        (too_low, "FAIL  the mail of bob cannot be opened: "),
    ],
)
def test_what_is_in_the_way(site: Site, harm: Callable[[Site], None], said: str) -> None:
    harm(site)
    said = said.format(base=site.stand_in.folder, folder=site.folder)
    assert next(line for line in site.report() if line.startswith("FAIL")).startswith(said), site.report()


def test_the_dict_server_may_be_open_to_mail_processes(site: Site) -> None:
    closed_dict(site)
    site.services = "service imap {\n  extra_groups = $default_internal_group root\n}\n"
    assert not [line for line in site.report() if line.startswith("FAIL")]
    site.services = "service imap {\n  extra_groups = $default_internal_group\n}\n"
    assert [line for line in site.report() if line.startswith("FAIL")]


@pytest.mark.parametrize(
    ("executable", "location", "said"),
    [
        (
            "ours --store=dovecot",
            "maildir:~/Maildir",
            ["ok    mail of bob is read through Dovecot's imap: --store="],
        ),
        ("ours", "imapc:~/mail", ["ok    mail of bob is read through Dovecot's imap: "]),
        ("imap", "maildir:~/Maildir", []),
        ("missing", "maildir:~/Maildir", []),
    ],
)
def test_which_store_reads(site: Site, executable: str, location: str, said: list[str]) -> None:
    (site.stand_in.folder / "libexec/imap").write_bytes(b"\x7fELF")
    site.executable, site.mail_location = executable, location
    assert [line[: len(start)] for line, start in zip(site.report(), said, strict=True)] == said


def test_what_is_not_for_us_to_say(site: Site) -> None:
    site.dictionary = "file:%{unknown:x}/keys"
    assert len(site.report()) == 1
    site.dictionary = "sql:/etc/dovecot/dict-sql.conf"
    assert len(site.report()) == 1
    site.dictionary = ""
    assert len(site.report()) == 1


def test_nobody_to_look_at(site: Site) -> None:
    site.stand_in.configure_users({"anonymous": {}})
    assert site.report() == [
        "note  the userdb lists no user: name one with --user, and what that one meets is looked at"
    ]
    assert site.report("carol") == ["FAIL  userdb: user carol doesn't exist"]


def test_a_dovecot_that_does_not_run(site: Site) -> None:
    (site.stand_in.folder / "master.pid").write_text("none\n")
    said = f"note  no Dovecot runs in {site.stand_in.folder}: what its userdb says of users was not looked at"
    assert site.report() == [said]


def test_settings_that_cannot_be_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise SettingsError("no such file")

    monkeypatch.setattr(check_mail, "read_settings", refuse)
    assert site.report() == ["FAIL  the mail of bob cannot be opened: no such file"]


def test_only_root_can_ask(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert site.report() == ["note  not run as root: what users meet was not looked at"]


AWAY = {"proxy": "", "host": "b1", "port": "1143", "master": "m", "pass": "secret"}
ASKS = "ours --backends=ask"


@pytest.mark.parametrize(
    ("executable", "fields", "said"),
    [
        (ASKS, AWAY, "ok    mail of bob is on backend b1:1143, where the worker logs in as m"),
        (
            ASKS,
            {**AWAY, "master": ""},
            "ok    mail of bob is on backend b1:1143, where the worker logs in as bob, ",
        ),
        (ASKS, {**AWAY, "pass": ""}, "FAIL  mail of bob is on backend b1:1143, and the passdb gives no pass to "),
        ("ours", AWAY, "note  mail of bob is on backend b1:1143: who asks for it here is refused, unless "),
        (ASKS, {}, NATIVE),
    ],
)
def test_mail_on_another_backend(site: Site, executable: str, fields: dict[str, str], said: str) -> None:
    site.executable = executable
    site.users(home=str(site.home), **fields)
    [line] = site.report()
    assert line.startswith(said)
    assert "secret" not in line


def test_keys_that_may_be_read_are_written_anew(site: Site) -> None:
    (site.home / "keys").touch(0o644)
    assert site.report() == [NATIVE]


@pytest.mark.parametrize("executable", [ASKS, "ours", "imap"])
def test_keys_of_mail_elsewhere_need_no_place_here(site: Site, executable: str) -> None:
    (site.stand_in.folder / "libexec/imap").write_bytes(b"\x7fELF")
    site.executable = executable
    site.home.chmod(0o700)
    os.chown(site.home, 0, 0)
    site.users(home=str(site.home), **AWAY)
    assert not [line for line in site.report() if line.startswith("FAIL")]
    site.users(home=str(site.home))
    assert [line for line in site.report() if line.startswith("FAIL  bob may not write")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"imapc_host": "b1", "imapc_password": "x"}, "ok    mail of bob is on backend b1, which imapc reads: "),
        (
            {"imapc_host": "b1"},
            "FAIL  mail of bob is imapc's, and imapc_host or imapc_password is not set for bob",
        ),
        (
            {"imapc_host": "b1", "imapc_list_prefix": "x"},
            "ok    mail of bob is read through Dovecot's imap: mail_location is imapc:",
        ),
    ],
)
def test_mail_of_imapc(site: Site, fields: dict[str, str], said: str) -> None:
    site.executable, site.mail_location = ASKS, "imapc:~/mail"
    site.users(home=str(site.home), **fields)
    [line] = site.report()
    assert line.startswith(said)
