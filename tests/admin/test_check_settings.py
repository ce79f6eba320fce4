"""Settings that make URLAUTH work, and each way in which they fail to."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.admin.check_settings import check_settings
from dovecot_urlauth.admin.doveconf import Configuration, parse

VIEW_2_3 = (
    "imap_urlauth_host = h\nimap_urlauth_port = 143\nmail_attribute_dict = file:%h/keys\nimap_capability =\n"
)
VIEW_2_4 = """\
imap_urlauth_host = h
imap_urlauth_port = 143
mail_attribute {
  dict file {
  }
}
imap_capability {
  URLAUTH = yes
  "URLAUTH=BINARY" = yes
}
"""
VIEWS = {"2.3.19.1": VIEW_2_3, "2.4.1-4": VIEW_2_4}


def lines(
    version: str,
    *,
    protocols: str = "protocols = imap submission\n",
    more: str = "",
    both: tuple[str, str] = ("", ""),
    imap: tuple[str, str] = ("", ""),
    worker: tuple[str, str] = ("", ""),
) -> list[str]:
    """The report, after one replacement in both views, in imap's, in the worker's."""
    view = VIEWS[version].replace(*both)
    everything = parse(protocols + more)
    configuration = Configuration(
        version, "file", everything, parse(view.replace(*imap)), parse(view.replace(*worker))
    )
    return [str(finding) for finding in check_settings(configuration)]


@pytest.mark.parametrize(("version", "dictionary"), [("2.3.19.1", "file:%h/keys"), ("2.4.1-4", "file")])
def test_all_is_well(version: str, dictionary: str) -> None:
    assert lines(version) == [
        "ok    imap_urlauth_host = h",
        f"ok    mailbox keys are in the attribute dictionary {dictionary}",
    ]


NO_HOST = ("imap_urlauth_host = h", "imap_urlauth_host =")
OTHER_HOST = ("imap_urlauth_host = h", "imap_urlauth_host = i")
ANY_HOST = ("imap_urlauth_host = h", "imap_urlauth_host = *")
OTHER_PORT = ("_port = 143", "_port = 993")


@pytest.mark.parametrize("version", VIEWS)
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"protocols": "protocols = submission\n"},
            "FAIL  protocols has no imap, so that none of the three services runs",
        ),
        (
            {"both": NO_HOST},
            "FAIL  imap_urlauth_host is not set: URLAUTH is off; set it to the host that URLs are to name",
        ),
        ({"protocols": "protocols {\n  imap = yes\n}\n"}, "ok    imap_urlauth_host = h"),
        (
            {"protocols": "protocols {\n  imap = no\n}\n"},
            "FAIL  protocols has no imap, so that none of the three services runs",
        ),
        (
            {"both": ("_host = h", "_host = imap://h")},
            "FAIL  imap_urlauth_host = imap://h is no host: no scheme, port or path may stand in it",
        ),
        (
            {"both": ("_host = h", "_host = a b")},
            "FAIL  imap_urlauth_host = a b is no host: it is made of letters, digits, dots and hyphens",
        ),
        ({"both": ("_host = h", "_host = *")}, "ok    imap_urlauth_host = *"),
        ({"worker": NO_HOST}, "FAIL  imap_urlauth_host = h holds for imap only, and the worker refuses every URL"),
        ({"imap": NO_HOST}, "FAIL  imap_urlauth_host = h holds for the worker only, and imap makes no URLs"),
        ({"worker": OTHER_HOST}, "FAIL  imap_urlauth_host is h for imap and i for the worker: no URL fits both"),
        ({"worker": ANY_HOST}, "ok    imap_urlauth_host = *"),
        ({"both": OTHER_PORT}, "note  imap_urlauth_port = 993: URLs must name this port behind the host"),
        ({"worker": OTHER_PORT}, "FAIL  imap_urlauth_port differs between imap and the worker"),
    ],
)
def test_hosts_and_ports(version: str, change: dict[str, Any], line: str) -> None:
    assert line in lines(version, **change)


@pytest.mark.parametrize(
    ("version", "change", "line"),
    [
        (
            "2.3.19.1",
            {"both": ("file:%h/keys", "")},
            "FAIL  there is no attribute dictionary, so that no mailbox can have a key; for example: "
            "mail_attribute_dict = file:%h/dovecot-attributes",
        ),
        (
            "2.4.1-4",
            {"both": ("dict file {\n  }", "")},
            "FAIL  there is no attribute dictionary, so that no mailbox can have a key; for example: "
            "mail_attribute { dict file { path = %{home}/dovecot-attributes } }",
        ),
        (
            "2.3.19.1",
            {"worker": ("file:%h/keys", "")},
            "FAIL  imap and the worker look for mailbox keys in different attribute dictionaries: "
            "imap's is file:%h/keys, the worker's is none",
        ),
        (
            "2.3.19.1",
            {"both": ("file:%h/keys", "flie:%h/keys")},
            "FAIL  mailbox keys have no place: Dovecot has no dictionary driver 'flie'",
        ),
        (
            "2.3.19.1",
            {"both": ("file:%h/keys", "proxy::keys")},
            "FAIL  mailbox keys have no place: dict { } has no 'keys', which proxy::keys names",
        ),
        (
            "2.3.19.1",
            {"both": ("file:%h/keys", "proxy::keys"), "more": "dict {\n  keys = sql:/x\n}\n"},
            "ok    mailbox keys are in the attribute dictionary proxy::keys",
        ),
        (
            "2.4.1-4",
            {"both": ("dict file", "dict proxy")},
            "FAIL  mailbox keys have no place: dict_server { } has no 'proxy', which proxy names",
        ),
        (
            "2.3.19.1",
            {"both": ("file:%h/keys", "proxy::keys"), "more": "dict {\n  keys = cdb:/x\n}\n"},
            "FAIL  mailbox keys have no place: the dictionary driver cdb keeps nothing",
        ),
        (
            "2.3.19.1",
            {"both": ("file:%h/keys", "proxy::keys"), "more": "dict {\n  keys = proxy::keys\n}\n"},
            "FAIL  mailbox keys have no place: dict { } sends 'keys' to another proxy",
        ),
        (
            "2.4.1-4",
            {
                "both": ("dict file {", "dict proxy {\n    name = keys"),
                "more": "dict_server {\n  dict keys {\n    driver = flie\n  }\n}\n",
            },
            "FAIL  mailbox keys have no place: Dovecot has no dictionary driver 'flie'",
        ),
        (
            "2.4.1-4",
            {"both": ("dict file {", "dict redis {\n  }\n  dict file {")},
            "FAIL  mailbox keys have no place: mail_attribute has two dictionaries, redis and file",
        ),
        (
            "2.4.1-4",
            {"both": ("dict file {", "dict keys {\n    driver = file")},
            "ok    mailbox keys are in the attribute dictionary keys",
        ),
        (
            "2.3.19.1",
            {"both": ("file:%h/keys", "redis:path=/nowhere/redis")},
            "FAIL  mailbox keys have no place: redis at /nowhere/redis does not answer: [Errno 2] No such file or "
            "directory",
        ),
        (
            "2.3.19.1",
            {"both": ("file:%h/keys", "redis:host=127.0.0.1:port=x")},
            "FAIL  mailbox keys have no place: redis at 127.0.0.1 port x does not answer: invalid literal for int"
            "() with base 10: 'x'",
        ),
        (
            "2.3.19.1",
            {"imap": ("capability =", "capability = IMAP4rev1 URLAUTH IDLE")},
            "note  imap_capability has no URLAUTH=BINARY: it works, but clients are not told",
        ),
        (
            "2.4.1-4",
            {"imap": ("URLAUTH = yes", "URLAUTH = no")},
            "note  imap_capability has no URLAUTH: it works, but clients are not told",
        ),
        (
            "2.4.1-4",
            {"imap": (VIEW_2_4[VIEW_2_4.index("imap_cap") :], "")},
            "note  imap_capability has no URLAUTH and no URLAUTH=BINARY: it works, but clients are not told",
        ),
    ],
)
def test_dictionaries_and_capabilities(version: str, change: dict[str, Any], line: str) -> None:
    assert line in lines(version, **change)


def test_a_server_that_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "redis"))
        local.listen()
        ports = [f"redis:host=127.0.0.1:port={server.getsockname()[1]}", f"redis:path={tmp_path}/redis"]
        for dictionary in ports:
            ok = f"ok    mailbox keys are in the attribute dictionary {dictionary}"
            assert ok in lines("2.3.19.1", both=("file:%h/keys", dictionary))
        block = f"dict redis {{\n    redis_port = {server.getsockname()[1]}\n"
        ok = "ok    mailbox keys are in the attribute dictionary redis"
        assert ok in lines("2.4.1-4", both=("dict file {", block))


def test_2_3_announces_by_itself_beside_what_is_added() -> None:
    assert lines("2.3.19.1", imap=("capability =", "capability = +XFOO")) == lines("2.3.19.1")


ASKS = "service imap-urlauth-worker {\n  executable = w --backends=ask\n}\n"
UNASKED = "warn  other backends cannot ask this one for its users' mail: set imap_metadata = yes for imap"


@pytest.mark.parametrize("version", VIEWS)
def test_roles(version: str) -> None:
    assert UNASKED not in lines(version)
    assert UNASKED in lines(version, more=ASKS)
    metadata = "imap_capability {\n", "imap_metadata = yes\nimap_capability {\n"
    old = "imap_capability =\n", "imap_capability =\nimap_metadata = yes\n"
    both = old if version.startswith("2.3") else metadata
    assert UNASKED not in lines(version, more=ASKS, both=both)
    frontend = "mail_location = imapc:\n" if version.startswith("2.3") else "mail_driver = imapc\n"
    found = lines(version, more=ASKS + frontend)
    assert UNASKED not in found
    assert any(
        line.startswith("note  an imapc frontend: URLs that its own imap signs are refused") for line in found
    )
