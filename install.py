"""Install dovecot-urlauth into one folder, for the Python that runs this: ``make install PREFIX=/some/dir``.

Nothing outside PREFIX is written, in particular nothing of the system's Python (PEP 668):

    PREFIX/libexec/dovecot-urlauth/    imap-urlauth-login, imap-urlauth, imap-urlauth-worker
    PREFIX/bin/dovecot-urlauth         the administrator's command
    PREFIX/lib/dovecot-urlauth/        the package, what it needs, and their byte code
    PREFIX/share/dovecot-urlauth/      conf.d/2.3 and conf.d/2.4, with the paths filled in
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import marshal
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
STARTERS = {"libexec/dovecot-urlauth": SOURCE / "compat", "bin": SOURCE / "bin"}

#: the two lines of a starter that an installation writes anew
INTERPRETER = "#!/usr/bin/python3 -IBS\n"
LIBRARY = 'os.path.realpath(f"{__file__}/../../.venv/run")'


class InstallError(Exception):
    """Why there is no installation; the text tells the administrator what would help."""


def install(prefix: Path, destdir: str) -> None:
    """Write everything below ``prefix``; a packager's ``destdir`` is put in front, and no file knows it."""
    root = Path(destdir + str(prefix)) if destdir else prefix
    library = prefix / "lib/dovecot-urlauth"
    _install_library(root / "lib/dovecot-urlauth", library)
    for folder, source in STARTERS.items():
        for starter in sorted(source.iterdir()):
            text = starter.read_text(encoding="utf-8")
            for old, new in ((INTERPRETER, f"#!{sys.executable} -IBS\n"), (LIBRARY, repr(str(library)))):
                if old not in text:
                    raise InstallError(f"{starter} has no line {old.strip()}")
                text = text.replace(old, new)
            _write(root / folder / starter.name, text.replace("import os\n", ""), 0o755)
    for snippet in sorted(SOURCE.glob("conf.d/*/*.conf")):
        text = snippet.read_text(encoding="utf-8").replace("@PREFIX@", str(prefix))
        _write(root / "share/dovecot-urlauth" / snippet.relative_to(SOURCE), text, 0o644)


def _install_library(target: Path, final: Path) -> None:
    """Build the library beside its place and move it in, so that an update leaves no file of the old one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".dovecot-urlauth-", dir=target.parent) as building:
        fresh = Path(building) / "library"
        fresh.mkdir()
        stale = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SOURCE / "dovecot_urlauth", fresh / "dovecot_urlauth", ignore=stale)
        for requirement in (SOURCE / "requirements.txt").read_text(encoding="utf-8").split():
            _add_requirement(requirement, fresh)
        # the services write no byte code (umask 077, read-only /usr); unchecked, it outlives any copying
        compiled = compileall.compile_dir(
            fresh,
            quiet=1,
            stripdir=str(fresh),
            prependdir=str(final),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not compiled:
            raise InstallError(f"{sys.executable} could not compile the package")
        _write_bundle(fresh / "dovecot_urlauth", final / "dovecot_urlauth")
        if target.exists():
            target.rename(Path(building) / "old")
        fresh.rename(target)


def _write_bundle(package: Path, final: Path) -> None:
    """Write all byte code into one file, as the package's ``__init__`` describes it."""
    content = bytearray(importlib.util.MAGIC_NUMBER + bytes(4))
    index = {}
    for source in sorted(package.rglob("*.py")):
        file = source.relative_to(package)
        name = ".".join((package.name, *file.with_suffix("").parts)).removesuffix(".__init__")
        if name == package.name:
            continue  # it finds the bundle
        # without docstrings, a tenth of it
        code = compile(source.read_bytes(), str(final / file), "exec", dont_inherit=True, optimize=2)
        marshalled = marshal.dumps(code)
        index[name] = (str(file), len(content), len(marshalled))
        content += marshalled
    content[4:8] = len(content).to_bytes(4, "little")
    content += marshal.dumps(index)
    (package / f"__pycache__/bundle.{sys.implementation.cache_tag}").write_bytes(content)


def _add_requirement(requirement: str, library: Path) -> None:
    """Copy the distribution's own package if this Python has it, else let pip fetch it."""
    name = requirement.partition(">")[0]
    found = importlib.util.find_spec(name)
    if found is not None and found.submodule_search_locations:
        _copy_package(Path(found.submodule_search_locations[0]), library / name)
        return
    try:
        _pip_install(requirement, library)
    except subprocess.CalledProcessError as error:
        said = os.fsdecode(error.stderr or error.stdout or b"")
        raise InstallError(
            f"{sys.executable} needs {name}, and neither Debian's packages here nor PyPI gave it.\n{said}"
            f"Run\n  apt-get install python3-{name}\nand then this again."
        ) from error


def _copy_package(source: Path, target: Path) -> None:
    """Copy sources and the extension modules that fit this Python."""
    target.mkdir()
    for file in source.iterdir():
        ending = "".join(file.suffixes)
        if ending in (".py", *EXTENSION_SUFFIXES):
            shutil.copyfile(file, target / file.name)


def _pip_install(requirement: str, library: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="dovecot-urlauth-pip-") as folder:
        python = sys.executable
        if importlib.util.find_spec("pip") is None:
            # a throwaway environment brings pip's own copy; only Debian's python3-venv has it
            venv.create(folder, with_pip=True)
            python = f"{folder}/bin/python"
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        command += ["--root-user-action=ignore", "--target", str(library), requirement]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)  # noqa: S603


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(mode)
    fresh.rename(path)


def _check(prefix: Path, destdir: str) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036
        raise InstallError(f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed")
    if not prefix.is_absolute():
        raise InstallError(f"PREFIX must be an absolute path, not {prefix}")
    for path in (str(prefix), sys.executable):
        if len(path.split()) != 1:
            raise InstallError(f"Dovecot splits a service's executable at spaces, and {path!r} has one")
    for folder in () if destdir else prefix.parents:
        if folder.exists() and not folder.stat().st_mode & 0o001:
            raise InstallError(f"{folder} is closed to other users: Dovecot's services could not read it")


def main() -> int:
    """Install, and say what comes next."""
    parser = argparse.ArgumentParser(description="Install dovecot-urlauth into one folder.")
    parser.add_argument("--prefix", required=True, type=Path, help="the folder, as Dovecot will see it")
    parser.add_argument("--destdir", default="", help="put in front of every path written, for packagers")
    given = parser.parse_args()
    prefix = Path(os.path.normpath(given.prefix))
    os.umask(0o022)
    try:
        _check(prefix, given.destdir)
        install(prefix, given.destdir)
    except InstallError as error:
        print(f"dovecot-urlauth is not installed: {error}", file=sys.stderr)
        return 1
    print(f"dovecot-urlauth is in {given.destdir}{prefix}.  Let dovecot.conf end with your Dovecot's line:")
    for generation in ("2.3", "2.4"):
        print(f"  !include {prefix}/share/dovecot-urlauth/conf.d/{generation}/90-urlauth.conf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
