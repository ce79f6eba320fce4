"""Variables of both languages: what we make of a text, doveadm makes of it too."""

from __future__ import annotations

import os
import subprocess
from random import Random
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.config import variables_2_3, variables_2_4
from dovecot_urlauth.config.errors import UnsupportedSetting
from testing.instance import HOST, USERS, DovecotInstance
from testing.versions import TUNED, Version
from tests.store.user import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations

SEED = int(os.environ.get("DOVECOT_URLAUTH_SEED", "1"))
COUNT = int(os.environ.get("DOVECOT_URLAUTH_COUNT", "1500"))
AT_ONCE = 60
"""Texts of one call of doveadm."""
BETWEEN = "\n-----\n"

NAMES = {"alice": USERS["alice"], "al.ice_x-1@mail.example.org": 5010, "12345": 5011}

OLD = (
    "%u|%n|%d|%h|%i|%{user}%{username}%{domain}%{home}%{uid}%{gid}",
    "%{hostname}|%{userdb:nosuch:default}|%{userdb:nosuch}",
    "%2.256Nu/%Nu/%8.Nu/%1.16Hu/%Hu/%4.Hu/%256Nn/%016Nn",
    "%Mu|%XM{user}|%Xn|%RLUn|%En|%Dd|%Tu",
    "%1.1u|%-1.1u|%-3.2u|%2u|%05u|%020u|%1.020u|%2.-3u|%0.-1u|%9.9u|%-30.2u|%1.-20u",
    "%{sha1:user}|%{sha256:username}|%{md5;rounds=3:user}|%{sha512;truncate=13:user}|%{sha3-256:user}",
    "%{sha256;format=base64:user}|%{sha256;format=hexuc,truncate=8,salt=abc:user}|%2.3{sha1;salt=x y:domain}",
    "100%%|%5%|%L%",
)
NEW = (
    "%{user}|%{home}|%{owner_user}|%{hostname}|%{user | username}@%{user|domain}",
    "100%% %u %%{user} %",
    "%{user | md5}|%{user|sha1}|%{user|sha256|hexlify(4)}|%{user|sha384|substr(0, 3)}|%{user|sha512|base64}",
    "%{user | md5 % 256}|%{user|md5 % 7}|%{user|md5(rounds=3, salt='x')|hexlify}|%{user|hash('sha1') % 1000}",
    "%{user | md5 % 256 | hex(2)}/%{user | sha1 | truncate(bits=13)}/%{user|sha1|truncate(3)}",
    "%{user|upper|lower|reverse}|%{user|substr(1)}|%{user|substr(0, 2)}|%{user|substr(-3, 2)}",
    "%{user|substr(1, -1)}|%{literal('4096')|hex(2)}",
    "%{userdb:nosuch|default('x')}|%{userdb:nosuch | default(user)}|%{literal('a\\tb') | concat('-', user, 3)}",
    "%{user|index('i', 0)}|%{user|index('i', -1)}|%{user|lfill(30, 'ab')}|%{user|rfill(9)}|%{user|domain|ldap_dn}",
    "%{literal('12') + 30}|%{literal('-7') / 2}|%{literal('-7') % 4}|%{literal('10') * -3 | hexlify}",
    "%{user | substr(99) | default('far')}|%{literal('255')|hex}|%{literal('255')|hex(-6)}",
)


def old_text(random: Random) -> str:
    ranges = ("", "", "", "1", "2", "3.", "1.1", "2.256", "-2", "-3.2", "05", "1.05", "2.-2", "0.2", "-0", "12.12")
    modifiers = "".join(random.choice("LUEXRHNMDT") for _ in range(random.choice((0, 0, 1, 1, 2, 3))))
    names = (
        "u", "n", "d", "h", "i", "%", "{user}", "{domain}", "{uid}", "{userdb:nosuch:a.B\\c}", "{sha1:user}",
        f"{{sha256;truncate={random.randrange(300)}:user}}", f"{{md5;rounds={random.randrange(1, 5)}:home}}",
    )  # fmt: skip
    return "%" + random.choice(ranges) + modifiers + random.choice(names)


def new_text(random: Random) -> str:
    starts = (
        "user", "user", "home", "owner_user", "userdb:nosuch", "literal('a@b@c.D')", "literal('77')",
        "literal(5)", "literal(\"q'\\\"x\")", "concat('x', user)", "userdb:nosuch|default('de.f')",
    )  # fmt: skip
    number = random.randrange(-9, 12)
    filters = (
        "lower", "upper", "reverse", "username", "domain", "ldap_dn", "md5", "sha1", "sha256", "sha384", "sha512",
        "hash('md5')", f"hash('sha256', rounds={abs(number) + 1})", "md5(salt='s')", "base64", "hexlify",
        f"hexlify({abs(number)})", "hex", f"hex({number})", f"substr({number})",
        f"substr({number}, {random.randrange(-5, 6)})",
        f"truncate({abs(number)})", f"truncate(bits={abs(number) * 3})", f"index('i', {number % 5 - 2})",
        f"lfill({abs(number) + 1})", f"rfill({abs(number) + 1}, 'xy')", "default('d')", "default(7)",
        "concat('c')", f"default('9') + {number}", f"md5 % {abs(number) + 1}", f"substr(0, 1) * {number}",
        "literal(user)", f"literal({number}) / 3", f"literal({number}) % 4",
    )  # fmt: skip
    chain = [random.choice(filters) for _ in range(random.choice((0, 1, 1, 2, 2, 3)))]
    return "%{" + random.choice((" | ", "|")).join([random.choice(starts), *chain]) + "}"


@pytest.fixture
def dovecot(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> DovecotInstance:
    return starter(DovecotInstance(version, TUNED, installations[version], users={**USERS, **NAMES}))


def by_doveadm(dovecot: DovecotInstance, name: str, texts: list[str]) -> list[str]:
    """What doveadm makes of each text."""
    command = dovecot.version.command(
        "/usr/bin/doveadm", "-c", dovecot.inside / "dovecot.conf", "user", "-e", BETWEEN.join(texts), name
    )
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert not done.stderr
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n").split(BETWEEN)


def expanded(dovecot: DovecotInstance, name: str, text: str) -> str | None:
    """What we make of a text; None is that we leave it to Dovecot."""
    expand, variables_of = variables_2_4.expand, variables_2_4.variables_of
    if dovecot.version.language == "2.3":
        expand, variables_of = variables_2_3.expand, variables_2_3.variables_of
    home = os.fsencode(dovecot.inside / "home" / name)
    user = User(home, name=name.encode(), uid=NAMES[name], gid=NAMES[name])
    try:
        return expand(text, {**variables_of(user), "hostname": HOST})
    except UnsupportedSetting:
        return None


@pytest.mark.parametrize("name", NAMES)
def test_variables_of_all_kinds(dovecot: DovecotInstance, name: str) -> None:
    texts = list(OLD if dovecot.version.language == "2.3" else NEW)
    ours = [expanded(dovecot, name, text) for text in texts]
    for text, mine, theirs in zip(texts, ours, by_doveadm(dovecot, name, texts), strict=True):
        assert mine == theirs, text


def test_random_texts(dovecot: DovecotInstance) -> None:
    random = Random(SEED)
    make = old_text if dovecot.version.language == "2.3" else new_text
    compared = 0
    for _ in range(COUNT // AT_ONCE):
        name = random.choice(list(NAMES))
        made = [make(random) for _ in range(AT_ONCE)]
        ours = {text: value for text in made if (value := expanded(dovecot, name, text)) is not None}
        for text, theirs in zip(ours, by_doveadm(dovecot, name, list(ours)), strict=True):
            assert ours[text] == theirs, (name, text)
        compared += len(ours)
    assert compared > COUNT // 3
