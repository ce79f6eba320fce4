"""What makes Dovecots one site: masters who may log in for others, and a passdb that says whose mail is where."""

from __future__ import annotations

MASTERS = {
    "2.3": "passdb {{\n  driver = passwd-file\n  master = yes\n  result_success = {1}\n  args = {0}/masters\n}}\n",
    "2.4": "passdb masters {{\n  driver = passwd-file\n  master = yes\n  result_success = {1}\n"
    "  passwd_file_path = {0}/masters\n  default_password_scheme = PLAIN\n}}\n",
}
METADATA = "protocol imap {\n  imap_metadata = yes\n}\n"
PROXY = "proxy=y host=127.0.0.1 port={port} master=master pass={password} {more}"

MASTER = "master:{PLAIN}mastersecret\n"
"""The masters' file."""
WORKER = "/imap-urlauth-worker\n"


def masters(language: str, folder: object, result: str = "return-ok") -> str:
    """Configuration of a backend that others ask; the masters' file is in ``folder``, a path inside."""
    return MASTERS[language].format(folder, result) + METADATA


def asking(services: str) -> str:
    """The services' configuration, the worker told to ask where mail is."""
    assert WORKER in services
    return services.replace(WORKER, WORKER.rstrip() + " --backends=ask\n")
