"""What starting costs: under stock service settings three interpreters start for each request."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"

EXPENSIVE = {
    "argparse", "asyncio", "base64", "collections.abc", "contextlib", "ctypes", "dataclasses", "datetime", "email",
    "enum", "functools", "hashlib", "hmac", "inspect", "json", "logging", "pathlib", "re", "selectors", "shutil",
    "signal", "socket", "subprocess", "tempfile", "threading", "traceback", "typing",
}  # fmt: skip
"""Each of these takes between 1 and 35 ms."""

MOST_MODULES = {"login": 102, "broker": 101, "worker": 156}
"""Modules of any origin, the interpreter's own included, that a stage may have loaded when its main is."""


def modules_after(statement: str) -> set[str]:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {statement}; print(*sys.modules)"
    done = subprocess.run([PYTHON, "-IBS", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("stage", "module"),
    [("login", "login.start"), ("broker", "broker.start"), ("worker", "worker.main")],
)
def test_starting_a_stage_imports_nothing_expensive(stage: str, module: str) -> None:
    loaded = modules_after(f"import dovecot_urlauth.{module}, dovecot_urlauth.service.run")
    assert loaded & EXPENSIVE == set()
    assert len(loaded) <= MOST_MODULES[stage]


@pytest.mark.parametrize("stage", ["login", "broker"])
def test_calling_the_next_stage_imports_next_to_nothing(stage: str) -> None:
    """Until then the next process is not even started: ``os`` alone would be 2 ms."""
    loaded = modules_after(f"import dovecot_urlauth.{stage}.main")
    born_with = modules_after("pass")
    ours = {"dovecot_urlauth", *(f"dovecot_urlauth.start{name}" for name in ("", ".preconnect", ".cpython"))}
    assert loaded - born_with == ours | {
        f"dovecot_urlauth.{stage}",
        f"dovecot_urlauth.{stage}.main",
        "_socket",
    }


@pytest.mark.parametrize(
    "module",
    [
        "worker.session",
        "worker.urlfetch",
        "worker.target",
        "store.fallback",
        "store.engine.engine",
        "message.fetch",
    ],
)
def test_serving_a_url_imports_nothing_expensive(module: str) -> None:
    assert modules_after(f"import dovecot_urlauth.{module}") & EXPENSIVE == set()


@pytest.mark.parametrize("text", ["%{home}/Maildir", "%{home | upper}"])
def test_what_a_path_is_made_of_loads_no_openssl(text: str) -> None:
    """Each target user has such settings; hashlib is for those that hash."""
    loaded = modules_after(
        f"from dovecot_urlauth.config.variables_2_4 import expand; expand({text!r}, {{'home': '/h'}})"
    )
    assert loaded & EXPENSIVE == set()
    assert ("dovecot_urlauth.config.expressions" in loaded) == ("|" in text)
