"""Install dovecot-urlauth into one folder, for the Python that runs this: ``make install PREFIX=/some/dir``.

``make uninstall PREFIX=/some/dir`` takes it away again, unless Dovecot's configuration still names it.  Nothing
outside PREFIX is written, in particular nothing of the system's Python (PEP 668):

    PREFIX/libexec/dovecot-urlauth/    imap-urlauth-login, imap-urlauth, imap-urlauth-worker
    PREFIX/bin/dovecot-urlauth         the administrator's command
    PREFIX/lib/dovecot-urlauth/        the package, what it needs, and their byte code
    PREFIX/share/dovecot-urlauth/      conf.d/2.3 and conf.d/2.4, and a profile for AppArmor, with the paths filled
                                       in; a drop-in for systemd
    PREFIX/share/man/, bash-completion/  the command's manual pages, and its words for the shell

With ``--packaged`` the libraries of others and the byte code are left out: a distribution's package depends on
the former and makes the latter where it is unpacked (``dovecot_urlauth/start/bundle.py``).
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import os
import py_compile
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE))  # -I leaves it out

from dovecot_urlauth.admin.doveconf import DEFAULT_FILE, DoveconfError, read_configuration  # noqa: E402
from dovecot_urlauth.admin.switch.naming import who_names  # noqa: E402
from dovecot_urlauth.admin.version import COMMIT_FILE, commit_of  # noqa: E402
from dovecot_urlauth.start.bundle import write_bundle  # noqa: E402

STARTERS = {"libexec/dovecot-urlauth": SOURCE / "compat", "bin": SOURCE / "bin"}

#: modules that a package imports from beside itself
BESIDE = {"cryptography": ("_cffi_backend",)}

#: the two lines of a starter that an installation writes anew
INTERPRETER = "#!/usr/bin/python3 -IBS\n"
LIBRARY = 'os.path.realpath(f"{__file__}/../../.venv/run")'

#: whole files: where they go below PREFIX
COPIED = {
    "share/man/man8/dovecot-urlauth.8": SOURCE / "docs/dovecot-urlauth.8",
    "share/man/man5/dovecot-urlauth.5": SOURCE / "docs/dovecot-urlauth.5",
    "share/bash-completion/completions/dovecot-urlauth": SOURCE / "completion/dovecot-urlauth",
    "share/dovecot-urlauth/systemd/hardening.conf": SOURCE / "systemd/hardening.conf",
}

#: whole folders of ours below PREFIX
FOLDERS = ("libexec/dovecot-urlauth", "lib/dovecot-urlauth", "share/dovecot-urlauth")

#: never removed, however empty
SYSTEM_FOLDERS = ("/", "/usr", "/usr/local")


class InstallError(Exception):
    """Why there is no installation; the text tells the administrator what would help."""


def install(prefix: Path, destdir: str, *, packaged: bool = False) -> None:
    """Write everything below ``prefix``; a packager's ``destdir`` is put in front, and no file knows it."""
    root = Path(destdir + str(prefix)) if destdir else prefix
    library = prefix / "lib/dovecot-urlauth"
    _install_library(root / "lib/dovecot-urlauth", library, packaged)
    for folder, source in STARTERS.items():
        for starter in sorted(source.iterdir()):
            text = starter.read_text(encoding="utf-8")
            for old, new in ((INTERPRETER, f"#!{sys.executable} -IBS\n"), (LIBRARY, repr(str(library)))):
                if old not in text:
                    raise InstallError(f"{starter} has no line {old.strip()}")
                text = text.replace(old, new)
            _write(root / folder / starter.name, text.replace("import os\n", ""), 0o755)
    for snippet in sorted([*SOURCE.glob("conf.d/*/*.conf"), *SOURCE.glob("apparmor/*")]):
        text = snippet.read_text(encoding="utf-8").replace("@PREFIX@", str(prefix))
        _write(root / "share/dovecot-urlauth" / snippet.relative_to(SOURCE), text, 0o644)
    for name, copied in COPIED.items():
        _write(root / name, copied.read_text(encoding="utf-8"), 0o644)


def uninstall(prefix: Path, configuration_file: str | None) -> None:
    """Remove what ``install`` wrote, and the folders that are then empty.

    Raises InstallError while the configuration names it.
    """
    if not any((prefix / folder).exists() for folder in FOLDERS):
        raise InstallError(f"there is no installation in {prefix}")
    if configuration_file is not None and not Path(configuration_file).is_file():
        raise InstallError(f"{configuration_file}: there is no such file; CONFIG is Dovecot's own dovecot.conf")
    try:
        configuration = read_configuration(configuration_file)
    except DoveconfError:
        configuration = None  # no Dovecot, or one that cannot start: the files themselves are still looked at
    file = configuration.file if configuration else configuration_file or DEFAULT_FILE
    named = who_names(str(prefix), file, configuration)
    given = f" -c {shlex.quote(configuration_file)}" if configuration_file is not None else ""
    if named:
        raise InstallError(
            f"Dovecot's configuration still names {prefix}, and without it Dovecot would not start:\n"
            + "".join(f"  {one}\n" for one in named)
            + f"Run\n  {prefix}/bin/dovecot-urlauth disable{given}\nor take those lines out, and then this again."
        )
    for folder in FOLDERS:
        if (prefix / folder).exists():
            shutil.rmtree(prefix / folder)
    files = [
        *(prefix / "bin" / starter.name for starter in STARTERS["bin"].iterdir()),
        *map(prefix.joinpath, COPIED),
    ]
    for path in files:
        path.unlink(missing_ok=True)
    for path in (*(prefix / folder for folder in FOLDERS), *files):
        _remove_empty_folders(path.parent, prefix)


def _remove_empty_folders(folder: Path, prefix: Path) -> None:
    """From ``folder`` up to PREFIX; a system's own folders stay."""
    while str(prefix) not in SYSTEM_FOLDERS and folder.is_relative_to(prefix):
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return  # not empty
        folder = folder.parent


def _install_library(target: Path, final: Path, packaged: bool) -> None:
    """Build the library beside its place and move it in, so that an update leaves no file of the old one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".dovecot-urlauth-", dir=target.parent) as building:
        fresh = Path(building) / "library"
        fresh.mkdir()
        stale = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SOURCE / "dovecot_urlauth", fresh / "dovecot_urlauth", ignore=stale)
        commit = commit_of(SOURCE)
        if commit:
            (fresh / COMMIT_FILE).write_text(commit + "\n", encoding="utf-8")
        if not packaged:
            _complete_library(fresh, final)
        if target.exists():
            target.rename(Path(building) / "old")
        fresh.rename(target)


def _complete_library(fresh: Path, final: Path) -> None:
    """Add what the package needs, what compressed and encrypted mail needs if it is here, and all byte code."""
    for requirement in (SOURCE / "requirements.txt").read_text(encoding="utf-8").split():
        _add_requirement(requirement, fresh)
    for requirement in (SOURCE / "requirements-stores.txt").read_text(encoding="utf-8").split():
        _copy_library(requirement, fresh)
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
    write_bundle(fresh / "dovecot_urlauth", final / "dovecot_urlauth")


def _add_requirement(requirement: str, library: Path) -> None:
    """Copy the distribution's own package if this Python has it, else let pip fetch it."""
    if _copy_library(requirement, library):
        return
    name = _name_of(requirement)
    try:
        _pip_install(library)
    except subprocess.CalledProcessError as error:
        said = os.fsdecode(error.stderr or error.stdout or b"")
        raise InstallError(
            f"{sys.executable} needs {name}, and neither Debian's packages here nor PyPI gave it.\n{said}"
            f"Run\n  apt-get install python3-{name}\nand then this again."
        ) from error


def _name_of(requirement: str) -> str:
    return requirement.partition(">")[0]


def _copy_library(requirement: str, library: Path) -> bool:
    """Copy the distribution's own package; False if this Python has none."""
    name = _name_of(requirement)
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        return False
    _copy_package(Path(found.submodule_search_locations[0]), library / name)
    for module in BESIDE.get(name, ()):
        beside = importlib.util.find_spec(module)
        if beside is not None and beside.origin:
            shutil.copyfile(beside.origin, library / Path(beside.origin).name)
    return True


def _copy_package(source: Path, target: Path) -> None:
    """Copy sources and the extension modules that fit this Python."""
    target.mkdir()
    for file in source.iterdir():
        ending = "".join(file.suffixes)
        if (file / "__init__.py").exists():
            _copy_package(file, target / file.name)
        elif ending in (".py", *EXTENSION_SUFFIXES):
            shutil.copyfile(file, target / file.name)


def _pip_install(library: Path) -> None:
    """Only the very files whose hashes stand in requirements.lock."""
    with tempfile.TemporaryDirectory(prefix="dovecot-urlauth-pip-") as folder:
        python = sys.executable
        if importlib.util.find_spec("pip") is None:
            # a throwaway environment brings pip's own copy; only Debian's python3-venv has it
            venv.create(folder, with_pip=True)
            python = f"{folder}/bin/python"
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        command += ["--root-user-action=ignore", "--target", str(library), "--require-hashes"]
        command += ["--requirement", str(SOURCE / "requirements.lock")]
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


def _reason(error: OSError) -> str:
    """One line of what a system call, or the copying of a whole folder, met."""
    if isinstance(error, shutil.Error):
        source, target, said = error.args[0][0]
        why = said.rpartition("] ")[2].partition(": '")[0]
        return f"{source} could not be copied to {target}: {why}"
    remedy = ": run this as root" if isinstance(error, PermissionError) and os.geteuid() != 0 else ""
    return f"{error.filename or 'writing'}: {error.strerror or error}{remedy}"


def main() -> int:
    """Install, and say what comes next; or uninstall."""
    parser = argparse.ArgumentParser(description="Install dovecot-urlauth into one folder.")
    parser.add_argument("--prefix", required=True, type=Path, help="the folder, as Dovecot will see it")
    parser.add_argument("--destdir", default="", help="put in front of every path written, for packagers")
    parser.add_argument("--packaged", action="store_true", help="without byte code and the libraries of others")
    parser.add_argument(
        "--uninstall", action="store_true", help="remove the installation, if Dovecot does without"
    )
    parser.add_argument("-c", dest="file", metavar="FILE", help="with --uninstall: Dovecot's configuration file")
    given = parser.parse_args()
    prefix = Path(os.path.normpath(given.prefix))
    os.umask(0o022)
    try:
        if given.uninstall:
            uninstall(prefix, given.file)
            print(f"dovecot-urlauth is removed from {prefix}.")
            return 0
        _check(prefix, given.destdir)
        install(prefix, given.destdir, packaged=given.packaged)
    except (InstallError, OSError) as error:
        why = error if isinstance(error, InstallError) else _reason(error)
        print(f"dovecot-urlauth is not {'un' if given.uninstall else ''}installed: {why}", file=sys.stderr)
        return 1
    print(f"dovecot-urlauth is in {given.destdir}{prefix}.  Next:")
    print(f"  {prefix}/bin/dovecot-urlauth enable --host imap.example.com\n  {prefix}/bin/dovecot-urlauth test")
    return 0


if __name__ == "__main__":
    sys.exit(main())
