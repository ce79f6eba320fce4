"""The warm-up runs through in every dialect, touches nothing and says nothing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect import versions
from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.worker import warmup
from dovecot_urlauth.worker.preload import MODULES, preload, wanted_by_plugins
from dovecot_urlauth.worker.warmup import NOWHERE, warm_up
from tests.clock import SteppingLoop

if TYPE_CHECKING:
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.worker.target import WorkerConfig

DIALECTS = {name: made for name, made in vars(versions).items() if isinstance(made, Dialect)}


def config(name: str) -> WorkerConfig:
    made = SimpleNamespace(dialect=DIALECTS[name], engine=None, settings=Settings({}), backends=None)
    return cast("WorkerConfig", made)


class Silent:
    """A log that keeps what it is told at debug level, and must be told nothing else."""

    debugging = True

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pipe = self

    def debug(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize("name", DIALECTS)
def test_it_comes_as_far_as_the_token(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = os.open

    def noting(path: str | bytes, *rest: Any, **named: Any) -> int:
        opened.append(os.fsdecode(path))
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", noting)
    log = Silent()
    loop = SteppingLoop()
    before = len(os.listdir("/proc/self/fd"))
    loop.run(warm_up(loop, config(name), cast("Log", log)))
    assert opened == [NOWHERE]
    assert "URLAUTH verification failed" in log.lines[-1]
    assert len(os.listdir("/proc/self/fd")) <= before


def test_nobody_can_be_meant() -> None:
    assert not os.path.exists(NOWHERE)
    assert warmup.HOST.endswith(".invalid")


@pytest.mark.parametrize("name", DIALECTS)
def test_a_parent_has_everything_before_its_first_child(name: str) -> None:
    """What serving a URL imports is there, and no descriptor stays behind."""
    gc.collect()  # what other tests have left
    before = len(os.listdir("/proc/self/fd"))
    preload(config(name))
    assert set(MODULES) <= set(sys.modules)
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_other_backends_take_is_loaded_where_they_are_asked_and_tls_is_not() -> None:
    """In an interpreter of its own, for other tests have loaded it all."""
    script = (
        "import sys; from types import SimpleNamespace as N; from dovecot_urlauth.worker.preload import *;"
        "from dovecot_urlauth.config.settings import Settings as S;"
        "from dovecot_urlauth.dialect.versions import DOVECOT_2_4_1 as D;"
        "preload(N(dialect=D, engine=None, settings=S({}), backends=S({})));"
        "assert set(BACKENDS) <= set(sys.modules); assert 'ssl' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_plugins_want_is_loaded_before_anybody_comes() -> None:
    def wanted(**settings: str) -> set[str]:
        return {name.rpartition(".")[2] for name in wanted_by_plugins(Settings(settings))}

    assert wanted(mail_plugins="quota", mail_compress_write_method="zstd") == set()
    readers = {"compression", "measured", "inflating", "zstd", "lz4"}
    assert wanted(mail_plugins="quota mail_compress", mail_compress_write_method="gz") == readers
    assert wanted(mail_plugins="zlib", **{"plugin/zlib_save": "bz2"}) == {*readers, "bz2"}
    assert wanted(mail_plugins="mail_compress", mail_compress_write_method="zstd") == {*readers, "zstandard"}
    assert wanted(mail_plugins="zlib") == {*readers, "bz2", "lzma", "zstandard", "block"}, "of any method"
    assert wanted(mail_plugins="acl", mail_compress_write_method="zstd").isdisjoint({*readers, "zstandard"})
    assert wanted(mail_attribute_dict="proxy::attributes") == {"proxy_dict"}
    assert wanted(mail_attribute_dict="file:%h/attributes") == set()
    assert wanted(**{"mail_attribute/dict": "proxy"}) == {"proxy_dict"}
    assert wanted(mail_plugins="mail_crypt") == {"header", "decrypted", "keyring", "private_key"}
    for name in wanted_by_plugins(Settings({"mail_plugins": "mail_crypt zlib", "plugin/zlib_save": "gz"})):
        __import__(name)


def test_encryption_is_used_once_before_anybody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library loads most of itself at its first use, which took a first client half a second."""
    private_key = __import__("dovecot_urlauth.store.native.decode.crypt.private_key", fromlist=["warm_up"])
    used: list[str] = []
    real = private_key.warm_up

    def noting() -> None:
        real()
        used.append("once")

    monkeypatch.setattr(private_key, "warm_up", noting)
    asked = SimpleNamespace(
        dialect=DIALECTS["DOVECOT_2_4_1"],
        engine=None,
        settings=Settings({"mail_plugins": "mail_crypt"}),
        backends=None,
    )
    preload(cast("WorkerConfig", asked))
    assert used == ["once"]
