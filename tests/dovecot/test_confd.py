"""conf.d as an administrator uses it: included into a running Dovecot, and taken out again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from testing.instance import DovecotInstance
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import ALL_STOCK, PIECES, TUNED, Version
from tests.dovecot.conftest import Installations

#: Dovecot's own processes that are stopped while somebody uses them say so.
AT_A_RELOAD = (
    r"imap-urlauth",
    r"killed with signal",
    r"SIGHUP",
    r"imap-login: Error: master\(imap\)",
    r"auth: Error: conn unix:\S*/auth-master ",
    r"auth: Error: auth-master client: Master requested auth for nonexistent client ",
    r"auth: Error: auth client \d+ disconnected with \d+ pending requests",
    r"imap(\(\d+\))?: Error: auth-master: login: request .* failed",
)

FILES = ("90-urlauth.conf", "90-urlauth-executables.conf")


@pytest.mark.parametrize("name", FILES)
def test_in_and_out_by_reload(
    starter: Callable[..., DovecotInstance], version: Version, installations: Installations, name: str
) -> None:
    ours = installations[version]
    dovecot = starter(DovecotInstance(version, ALL_STOCK), *AT_A_RELOAD)
    configuration = dovecot.folder / "dovecot.conf"
    stock = configuration.read_text()
    included = f"{stock}\n!include {ours.prefix}/share/dovecot-urlauth/conf.d/{version.language}/{name}\n"

    configuration.write_text(included)
    dovecot.reload()
    with Scene(dovecot) as scene:
        assert scene.user("bob").fetch_url(scene.sign(scene.store())) == MESSAGE
        processes = dovecot.processes(PIECES[1])
        assert processes
        assert all(0 not in process.uids for process in processes)

    configuration.write_text(stock)
    dovecot.reload()
    settings = dovecot.version.command("/usr/bin/doveconf", "-c", dovecot.inside / "dovecot.conf")
    assert str(ours.prefix) not in dovecot.output(*settings)
    assert wait_for(lambda: not [p for p in dovecot.processes() if str(ours.prefix) in p.title], 10)


@pytest.mark.parametrize("name", FILES)
def test_it_changes_nothing_but_the_three_services(
    starter: Callable[..., DovecotInstance], version: Version, installations: Installations, name: str
) -> None:
    ours = installations[version]
    dovecot = starter(DovecotInstance(version, ALL_STOCK))
    configuration = dovecot.folder / "dovecot.conf"
    doveconf = dovecot.version.command("/usr/bin/doveconf", "-c", dovecot.inside / "dovecot.conf")
    before = dovecot.output(*doveconf).splitlines()
    with configuration.open("a") as file:
        file.write(f"\n!include {ours.prefix}/share/dovecot-urlauth/conf.d/{version.language}/{name}\n")
    after = dovecot.output(*doveconf).splitlines()
    changed = {line.split("=")[0].strip() for line in set(after) ^ set(before)}
    allowed = {"executable", "service_count", "restart_request_count", "client_limit", "process_min_avail"}
    # 2.4 prints no service whose settings are all default
    allowed |= {"process_limit", "}", ""} | {f"service {name} {{" for name in PIECES}
    assert changed <= allowed
    assert sum(str(ours.executables) in line for line in after) == len(PIECES)


def test_a_reload_under_load(
    starter: Callable[..., DovecotInstance], version: Version, installations: Installations
) -> None:
    dovecot = starter(DovecotInstance(version, TUNED, installations[version]), *AT_A_RELOAD)
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store(), "authuser")
        bob, carol = scene.user("bob"), scene.user("carol")
        assert bob.fetch_url(url) == MESSAGE
        before = {process.pid for name in PIECES for process in dovecot.processes(name)}
        dovecot.reload()
        assert bob.fetch_url(url) == MESSAGE
        assert carol.fetch_url(url) == MESSAGE
    # those of before the reload end with their last client
    assert wait_for(lambda: not before & {process.pid for process in dovecot.processes()}, 20)
