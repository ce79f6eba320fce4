"""Has the worker the libraries for mail that plugins compress or encrypt; without them it is slower, not wrong."""

from __future__ import annotations

from collections.abc import Iterator

from dovecot_urlauth.admin.check_library import library_of, run
from dovecot_urlauth.admin.doveconf import Configuration
from dovecot_urlauth.admin.executables import Executable
from dovecot_urlauth.admin.findings import Finding, note
from dovecot_urlauth.config.plugins import COMPRESSING, ENCRYPTING, words

#: method of compression -> Debian's package, and what has to load one way or the other
LIBRARIES = {
    "zstd": ("python3-zstandard", ("compression.zstd", "zstandard")),
    "lz4": ("python3-lz4", ("lz4.block",)),
    ENCRYPTING: ("python3-cryptography", ("cryptography.hazmat.primitives.ciphers",)),
}

PROBE = "import sys; sys.path += [sys.argv[1], sys.argv[1] + '/distribution']; import {module}"


def check_stores(name: str, configuration: Configuration, executable: Executable) -> Iterator[Finding]:
    """What service ``name`` lacks for the plugins that the worker's view of the configuration loads."""
    library = library_of(executable)
    if library is None:
        return
    for kind in _kinds(configuration):
        if kind not in LIBRARIES:
            continue
        package, modules = LIBRARIES[kind]
        python = [executable.interpreter[0], "-IBS", "-c"]
        probes = ([*python, PROBE.format(module=module), library] for module in modules)
        if not any(done is not None and done.returncode == 0 for done in map(run, probes)):
            yield note(
                f"{name}: mail stored by {kind} is read through Dovecot's own imap, which takes longer; to read "
                f"it directly, apt-get install {package} and install dovecot-urlauth again"
            )


def _kinds(configuration: Configuration) -> Iterator[str]:
    """How new mail is stored; older mail may be stored otherwise."""
    view = configuration.as_worker
    chosen = view.block("mail_plugins").settings
    loaded = {*words(view.get("mail_plugins")), *(plugin for plugin, value in chosen.items() if value == "yes")}
    if loaded & set(COMPRESSING):
        plugin = configuration.everything.block("plugin")
        yield plugin.get("zlib_save") or configuration.everything.get("mail_compress_write_method")
    if ENCRYPTING in loaded:
        yield ENCRYPTING
