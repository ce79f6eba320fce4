"""The table: configurations as administrators have them, working and broken."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from testing.versions import ALL_OURS, ALL_STOCK, NEWEST, TUNED, Combination, Version
from tests.dovecot.verdicts.place import (
    Place,
    closed_base_dir,
    damaged,
    for_another_python,
    keys_of_root,
    mode,
    moved,
    rewritten,
    with_dictionary,
    without_homes,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Verdict(Enum):
    """What a configuration is worth; only the first lets `check` exit with 0."""

    WORKS = "works"
    DEAD = "does not work"
    UNSAFE = "works, and for the wrong people too"
    DOWN = "Dovecot itself does not start"


@dataclass(frozen=True)
class Case:
    """One row: what is done to a configuration that works, and what comes of it."""

    name: str
    verdict: Verdict
    says: str = ""
    """In a line of `check`: of what fails in a FAIL, else in any line."""
    extra: str | tuple[str | None, str | None] = ""
    """What is appended: in both languages, or in 2.3's and in 2.4's; None where the case is not about one."""
    combination: Combination = TUNED
    harm: Callable[[Place], AbstractContextManager[None]] = field(default=lambda place: nullcontext())
    """Done beside the configuration, and undone."""
    since: tuple[int, ...] = (2, 3)
    until: tuple[int, ...] = NEWEST
    """The first and the last version that the case is about."""
    port: str = ""
    """What URLs have behind the host."""

    def text(self, version: Version) -> str | None:
        """What is appended for this version; None where the case is not about it."""
        if not self.since <= version.number <= self.until:
            return None
        if isinstance(self.extra, str):
            return self.extra
        return self.extra[version.language == "2.4"]


LOGIN, BROKER, WORKER = "imap-urlauth-login", "imap-urlauth", "imap-urlauth-worker"
OURS, BASE = "@OURS@", "@BASE@"
"""Stand for the folder of our executables and Dovecot's own."""
W, D, U, X = Verdict.WORKS, Verdict.DEAD, Verdict.UNSAFE, Verdict.DOWN


def service(name: str, *settings: str) -> str:
    return f"service {name} {{\n" + "".join(f"  {line}\n" for line in settings) + "}\n"


def listener(name: str, path: str, *settings: str) -> str:
    inner = "".join(f"    {line}\n" for line in settings)
    return f"service {name} {{\n  unix_listener {path} {{\n{inner}  }}\n}}\n"


def program(name: str, text: str) -> str:
    return service(name, f"executable = {text}")


def file_dictionary(path_2_3: str, path_2_4: str) -> tuple[str, str]:
    block = f"mail_attribute {{\n  dict file {{\n    path = {path_2_4}\n  }}\n}}\n"
    return f"mail_attribute_dict = file:{path_2_3}\n", block


def proxy(*listener_settings: str) -> tuple[str, str]:
    """Dovecot's dict server in between, with a socket like that."""
    server = f"dict_server {{\n  dict keys {{\n    driver = file\n    dict_file_path = {BASE}/tmp/keys\n  }}\n}}\n"
    socket = listener("dict", "dict", *listener_settings)
    return (
        f"mail_attribute_dict = proxy::keys\ndict {{\n  keys = file:{BASE}/tmp/keys\n}}\n{socket}",
        f"{server}{socket}",
    )


def mail_at(path_2_3: str, path_2_4: str) -> tuple[str, str]:
    return f"mail_location = {path_2_3}\n", path_2_4


SILENT_CAPABILITY = (
    "imap_capability = IMAP4rev1\n",
    'imap_capability {\n  URLAUTH = no\n  "URLAUTH=BINARY" = no\n}\n',
)
NO_HOMES = mail_at(f"maildir:{BASE}/home/%u/Maildir", f"mail_path = {BASE}/home/%{{user}}/Maildir\n")
KEYS_BESIDE = file_dictionary(f"{BASE}/home/%u/keys", f"{BASE}/home/%{{user}}/keys")
STOCK_WORKER = (
    service(WORKER, "executable = imap-urlauth-worker", "client_limit = 1", "service_count = 1"),
    service(WORKER, "executable = imap-urlauth-worker", "client_limit = 1", "restart_request_count = 1"),
)
REDIS_DOWN = (
    "mail_attribute_dict = redis:host=127.0.0.1:port=9\n",
    "",
)
PROXY = with_dictionary("proxy", "name = keys")
VIRTUAL = ("mail_plugins = virtual\n", None)
"""A plugin that makes folders of searches, which is Dovecot's own to do."""

SETTINGS = [
    Case("as-shipped", W, "natively"),
    Case("executables-only", W, "starts anew for each session", combination=ALL_OURS),
    Case("protocols-block", W, extra=(None, "protocols {\n  imap = yes\n}\n")),
    Case("no-imap", X, "protocols has no imap", "protocols = submission\n"),
    Case("another-port", W, "imap_urlauth_port = 1143", "imap_urlauth_port = 1143\n", port=":1143"),
    Case("not-announced", W, "imap_capability has no URLAUTH", SILENT_CAPABILITY),
    Case("no-host", D, "imap_urlauth_host is not set", "imap_urlauth_host =\n"),
    Case("host-is-a-url", D, "is no host", "imap_urlauth_host = imap://imap.example.test\n"),
    Case("host-with-a-port", D, "is no host", "imap_urlauth_host = imap.example.test:143\n"),
    Case(
        "host-of-imap-only",
        D,
        "holds for imap only",
        ("imap_urlauth_host =\nprotocol imap {\n  imap_urlauth_host = imap.example.test\n}\n", None),
    ),
    Case("host-differs", D, "no URL fits both", ("protocol imap {\n  imap_urlauth_host = other.test\n}\n", None)),
    Case("port-differs", D, "port differs", ("protocol imap {\n  imap_urlauth_port = 1143\n}\n", None)),
    Case("uid-too-low", D, "alice", "first_valid_uid = 6000\n"),
    Case("silent-titles", W, extra="verbose_proctitle = no\n"),
    # -- where the keys are
    Case("no-dictionary", D, "no attribute dictionary", ("mail_attribute_dict =\n", None)),
    Case("driver-mistyped", D, "no dictionary driver 'flie'", ("mail_attribute_dict = flie:%h/keys\n", None)),
    Case("driver-keeps-nothing", D, "keeps nothing", ("mail_attribute_dict = fail:x\n", None)),
    Case("keys-in-one-folder", W, extra=file_dictionary(f"{BASE}/tmp/keys-%u", f"{BASE}/tmp/keys-%{{user}}")),
    Case("keys-where-users-cannot-write", D, "may not write to", file_dictionary("/etc/keys", "/etc/keys")),
    Case("keys-in-a-home-that-is-not-there", D, "has no home in the userdb", NO_HOMES, harm=without_homes),
    Case(
        "no-home-is-needed",
        W,
        extra=(NO_HOMES[0] + KEYS_BESIDE[0], NO_HOMES[1] + KEYS_BESIDE[1]),
        harm=without_homes,
    ),
    Case(
        "redis-down",
        D,
        "redis at 127.0.0.1 port 9 does not answer",
        REDIS_DOWN,
        harm=with_dictionary("redis", "redis_port = 9"),
    ),
    Case("proxy", W, extra=proxy("mode = 0666"), harm=PROXY),
    Case("proxy-for-mail-processes", W, extra=proxy("mode = 0660", "group = dovecot"), harm=PROXY),
    Case("proxy-closed", D, "socket dict is closed to alice", proxy("mode = 0600"), harm=PROXY),
    Case("proxy-to-nothing", D, "has no 'keys'", ("mail_attribute_dict = proxy::keys\n", ""), harm=PROXY),
    Case("two-dictionaries", D, "two dictionaries", (None, "mail_attribute {\n  dict redis {\n  }\n}\n")),
    # -- how mail is stored
    Case("sdbox", W, extra=mail_at("sdbox:~/sdbox", "mail_driver = sdbox\nmail_path = ~/sdbox\n")),
    Case("mdbox", W, extra=mail_at("mdbox:~/mdbox", "mail_driver = mdbox\nmail_path = ~/mdbox\n")),
    Case(
        "mbox",
        W,
        extra=mail_at(
            "mbox:~/mail:INBOX=~/inbox", "mail_driver = mbox\nmail_path = ~/mail\nmail_inbox_path = ~/inbox\n"
        ),
    ),
    Case("not-native", W, "through Dovecot's imap: mail_plugins has virtual", VIRTUAL),
    Case(
        "not-native-and-nothing-else",
        D,
        "--store=native allows nothing else: mail_plugins has virtual",
        (program(WORKER, f"{OURS}/{WORKER} --store=native") + (VIRTUAL[0] or ""), None),
    ),
    # -- what Dovecot cannot read
    Case("not-to-be-parsed", X, "Error in configuration file", "service imap-urlauth {\n"),
    Case("setting-unknown", X, "imap_urlauth_hots", "imap_urlauth_hots = x\n"),
    Case("settings-of-2.4", X, "this file is for 2.4", (KEYS_BESIDE[1], None)),
    Case("limits-of-2.4", X, "this file is for 2.4", (service(WORKER, "restart_request_count = unlimited"), None)),
    Case("settings-of-2.3", X, "this file is for 2.3", (None, KEYS_BESIDE[0])),
    Case("limits-of-2.3", X, "this file is for 2.3", (None, service(WORKER, "service_count = 0"))),
    # -- what root has written into a home
    Case("keys-of-root", D, "may not read", harm=keys_of_root),
]

SOCKETS = [
    Case("login-closed", D, "imap-urlauth has mode 0600", listener(LOGIN, "imap-urlauth", "mode = 0600")),
    Case("login-off", D, "imap-urlauth is switched off", listener(LOGIN, "imap-urlauth", "mode = 0")),
    Case(
        "login-of-another-user",
        D,
        "closed to alice",
        listener(LOGIN, "imap-urlauth", "mode = 0600", "user = mail"),
    ),
    Case(
        "broker-closed",
        D,
        "token-login/imap-urlauth has mode 0600",
        listener(BROKER, "token-login/imap-urlauth", "mode = 0600"),
    ),
    Case(
        "broker-of-login",
        W,
        "token-login/imap-urlauth has mode 0600",
        listener(BROKER, "token-login/imap-urlauth", "mode = 0600", "user = dovenull"),
    ),
    Case(
        "tokens-closed",
        D,
        "token-login/tokenlogin has mode 0600",
        listener("auth", "token-login/tokenlogin", "mode = 0600"),
    ),
    Case("worker-of-root", D, "cannot connect to it", listener(WORKER, WORKER, "user = root")),
    Case("worker-open", U, "open to every local user", listener(WORKER, WORKER, "mode = 0666")),
    Case("auth-master-off", D, "auth-master is switched off", listener("auth", "auth-master", "mode = 0")),
    Case("auth-master-open", U, "open to every local user", listener("auth", "auth-master", "mode = 0666")),
    Case("userdb-off", D, "auth-userdb is switched off", listener("auth", "auth-userdb", "mode = 0")),
    Case("userdb-closed-to-users", W, extra=listener("auth", "auth-userdb", "mode = 0600")),
    Case(
        "base-dir-closed",
        D,
        "is closed to alice",
        f"base_dir = {BASE}/closed/run\n",
        harm=closed_base_dir,
    ),
]

PROGRAMS = [
    Case("native-only", W, extra=program(WORKER, f"{OURS}/{WORKER} --store=native --sandbox=auto")),
    Case(
        "dovecot-only", W, "through Dovecot's imap: --store", program(WORKER, f"{OURS}/{WORKER} --store=dovecot")
    ),
    Case("audited", W, extra=program(WORKER, f"{OURS}/{WORKER} --audit=yes")),
    Case(
        "store-mistyped", D, "Unknown argument: --store=natve", program(WORKER, f"{OURS}/{WORKER} --store=natve")
    ),
    Case(
        "sandbox-mistyped", D, "Unknown argument: --sandbox=on", program(BROKER, f"{OURS}/{BROKER} --sandbox=on")
    ),
    Case("sandbox-off", W, "--sandbox=off", program(LOGIN, f"{OURS}/{LOGIN} --sandbox=off")),
    Case("sandbox-required", W, "Landlock", program(BROKER, f"{OURS}/{BROKER} --sandbox=require")),
    Case("audit-mistyped", D, "Unknown argument: --audit=true", program(WORKER, f"{OURS}/{WORKER} --audit=true")),
    Case("option-unknown", D, "Unknown argument: --stor=auto", program(LOGIN, f"{OURS}/{LOGIN} --stor=auto")),
    Case("option-of-another", D, "Unknown argument: --store", program(BROKER, f"{OURS}/{BROKER} --store=native")),
    Case("an-argument", D, "takes no arguments such as 'alice'", program(WORKER, f"{OURS}/{WORKER} alice")),
    Case("worker-is-login", D, "executables are exchanged", program(WORKER, f"{OURS}/{LOGIN}")),
    Case("broker-is-worker", D, "executables are exchanged", program(BROKER, f"{OURS}/{WORKER}")),
    Case("broker-is-dovecots-worker", D, "executables are exchanged", program(BROKER, WORKER)),
    Case("another-program", D, "neither Dovecot's own nor", program(BROKER, "/bin/true")),
    Case("a-folder", D, "Is a directory", program(BROKER, OURS)),
    Case("missing", X, "No such file", program(BROKER, f"{OURS}/imap-urlaut")),
    Case("not-executable", X, "is not executable", harm=lambda place: mode(place.programs / WORKER, 0o644)),
    Case("for-root-only", W, harm=lambda place: mode(place.programs / LOGIN, 0o700)),
    Case("open", U, "changed by others", harm=lambda place: mode(place.programs / WORKER, 0o777)),
    Case("in-an-open-folder", U, "changed by others", harm=lambda place: mode(place.programs, 0o777)),
    Case(
        "no-interpreter",
        D,
        "/usr/bin/python9 is not there",
        harm=lambda place: rewritten(place.programs / BROKER, "#!/usr/bin/python3", "#!/usr/bin/python9"),
    ),
    Case("not-isolated", U, "without -I", harm=lambda place: rewritten(place.programs / WORKER, " -IBS", "")),
    Case("chroot-missing", D, "its chroot", service(LOGIN, "chroot = nowhere")),
    Case("chroot-of-other-sockets", D, "its chroot is", service(LOGIN, "chroot = login")),
    Case("no-chroot", W, extra=service(LOGIN, "chroot =")),
    Case("broker-in-a-chroot", D, "set it to nothing", service(BROKER, "chroot = token-login")),
    Case("privileges-first", X, "drop_priv_before_exec", service(LOGIN, "drop_priv_before_exec = yes")),
    Case("broker-as-root", W, "runs as root", service(BROKER, "user = root")),
    Case("worker-of-one-user", W, "changes nothing", service(WORKER, "user = mail")),
    Case("one-session", W, "the second waits", service(WORKER, "client_limit = 1", "process_limit = 1")),
    Case("two-sessions", W, "the third waits", service(WORKER, "client_limit = 1", "process_limit = 2")),
    Case("little-memory", W, "vsz_limit is 100 MB", service(WORKER, "vsz_limit = 100M")),
    Case("no-memory", D, "vsz_limit is 8 MB", service(WORKER, "vsz_limit = 8M")),
    # -- the library
    Case("library-closed", W, "root loads it", harm=lambda place: mode(place.library, 0o700)),
    Case("library-of-another-python", W, "is installed for Python 3.9", harm=for_another_python),
    Case("library-damaged", D, "SyntaxError", harm=lambda place: damaged(place, "broker/session.py")),
    Case(
        "library-incomplete",
        D,
        "is damaged",
        harm=lambda place: moved(place.bundle, place.library / "dovecot_urlauth/wire/control.py"),
    ),
    Case("library-gone", D, "is damaged", harm=lambda place: moved(place.library / "dovecot_urlauth")),
    Case(
        "library-open", U, "changed by others", harm=lambda place: mode(place.library / "dovecot_urlauth", 0o777)
    ),
    Case("bundle-open", U, "changed by others", harm=lambda place: mode(place.bundle, 0o666)),
    Case("prefix-open", U, "changed by others", harm=lambda place: mode(place.ours.outside, 0o777)),
    # -- Dovecot's own
    Case("stock-worker", U, "user+bob", STOCK_WORKER, until=(2, 4, 2)),
    Case(
        "stock-login",
        D,
        "DOVECOT-TOKEN",
        service(LOGIN, "executable = imap-urlauth-login", "client_limit = 1"),
        until=(2, 3, 99),
    ),
    Case("stock-worker-of-many", D, "set client_limit = 1", program(WORKER, WORKER), since=(2, 4, 3)),
    Case("stock", U, "user+bob", combination=ALL_STOCK, since=(2, 4), until=(2, 4, 2)),
    Case("stock-since-2.4.3", W, "stays behind", combination=ALL_STOCK, since=(2, 4, 3)),
]

CASES = [*SETTINGS, *SOCKETS, *PROGRAMS]
