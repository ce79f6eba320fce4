"""Another Debian suite's Dovecot in a folder, entered with chroot.

apt gets a private state folder and an empty dpkg status, and so names the whole closure of a few packages;
every archive is then unpacked into a folder with the merged-/usr links.  No maintainer script runs, so what
those would have made (accounts, device nodes, the linker's cache, byte code) is made here by hand.  Nothing
is ever mounted into a tree, so that it can be copied and removed without a second thought.

Run it as `python -m testing.trees trixie sid`; it prints where each tree is.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a tree is for: Dovecot with its submission server, and a python3 that can install a package of ours.
PACKAGES = (
    "dovecot-core",
    "dovecot-imapd",
    "dovecot-submissiond",
    "python3",
    "python3-venv",
    "python3-pip",
    "python3-setuptools",
    "python3-wheel",
    "python3-setproctitle",
    "python3-cryptography",
    "python3-zstandard",
    "python3-lz4",
    "make",
    "dash",
    "bash",
    "coreutils",
    "findutils",
    "grep",
    "sed",
    "gzip",
    "tar",
    "procps",
    "ca-certificates",
)

#: Suites whose python3 is too old for us: Dovecot and what it needs are theirs, the rest is of another suite.
OTHERS_PYTHON = {"bullseye": "bookworm"}

#: Directories that merged /usr turns into links.
MERGED = ("bin", "sbin", "lib", "lib64")

#: Accounts that dovecot-core's maintainer script would have made, with the numbers it would have picked.
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
dovecot:x:901:901:Dovecot mail server:/usr/lib/dovecot:/usr/sbin/nologin
dovenull:x:902:902:Dovecot login user:/nonexistent:/usr/sbin/nologin
"""
GROUP = """\
root:x:0:
daemon:x:1:
tty:x:5:
mail:x:8:
nogroup:x:65534:
dovecot:x:901:
dovenull:x:902:
"""

#: name -> minor number; all have major number 1
DEVICES = {"null": 3, "zero": 5, "random": 8, "urandom": 9}

#: Left out of a tree: nobody reads them there.
UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")


class TreeError(Exception):
    """A tree could not be made; the text says at which step and what the tool said."""


def trees_root() -> Path:
    """The folder that holds the trees: DOVECOT_URLAUTH_TREES, or one in the user's cache."""
    given = os.environ.get("DOVECOT_URLAUTH_TREES")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "dovecot-urlauth" / "trees"


def tree(suite: str) -> Path:
    """The finished tree of `suite`, made first if it is missing or half done."""
    root = trees_root()
    root.mkdir(parents=True, exist_ok=True)
    # another recipe, of a checkout beside this one, has a tree of its own
    folder = root / f"{suite}-{_recipe()[:8]}"
    with one_maker(root / f".{suite}.lock"):
        if not is_complete(folder):
            _make(suite, folder)
    return folder


def is_complete(folder: Path) -> bool:
    """Whether `folder` was finished by this very recipe."""
    try:
        return _marker(folder).read_text() == _recipe()
    except OSError:
        return False


def _marker(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.complete")


def _recipe() -> str:
    return hashlib.sha256(repr((PACKAGES, PASSWD, GROUP, DEVICES, UNREAD)).encode()).hexdigest()


@contextmanager
def one_maker(lock: Path) -> Iterator[None]:
    """Keep others from making the tree that this file stands for."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make(suite: str, folder: Path) -> None:
    _marker(folder).unlink(missing_ok=True)
    remove(folder)
    apt = folder.with_name(f".{suite}.apt")
    shutil.rmtree(apt, ignore_errors=True)
    archives = _download(suite, apt)
    for name in MERGED:
        (folder / "usr" / name).mkdir(parents=True)
        (folder / name).symlink_to(f"usr/{name}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda archive: _unpack(archive, folder), archives))
    shutil.rmtree(apt)
    for name in UNREAD:
        shutil.rmtree(folder / name, ignore_errors=True)
    _write_accounts(folder)
    _make_devices(folder)
    _finish(folder)
    _marker(folder).write_text(_recipe())


def remove(folder: Path) -> None:
    """Remove a tree; raises TreeError rather than go into anything mounted there."""
    if any(line.split()[4].startswith(f"{folder}/") for line in _mounts()):
        raise TreeError(f"{folder} holds a mount: not removed")
    shutil.rmtree(folder, ignore_errors=True)


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def run(*command: str | Path) -> str:
    """What a command says; raises TreeError if it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise TreeError(f"{' '.join(str(word) for word in command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def own_suite() -> str:
    """The name of the suite that this machine runs."""
    return run("sh", "-c", '. /etc/os-release; echo "$VERSION_CODENAME"').strip()


def _mirror() -> str:
    """The archive's address, as the machine's own apt sources have it."""
    own = own_suite()
    listed = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)")
    for line in listed.splitlines():
        uri, release, component = line.split()
        if release == own and component == "main":
            return uri
    raise TreeError(f"apt's sources name no archive that holds {own} main")


def _download(suite: str, apt: Path) -> list[Path]:
    """Let apt fetch the closure of PACKAGES from `suite`; the archives' paths."""
    for part in ("lists/partial", "archives/partial", "parts"):
        (apt / part).mkdir(parents=True)
    (apt / "status").touch()
    suites = [suite, OTHERS_PYTHON[suite]] if suite in OTHERS_PYTHON else [suite]
    (apt / "sources.list").write_text(
        "".join(f"deb [check-valid-until=no] {_mirror()} {each} main\n" for each in suites)
    )
    (apt / "preferences").write_text(
        f"Package: dovecot-*\nPin: release n={suite}\nPin-Priority: 1001\n" if len(suites) > 1 else ""
    )
    private = {
        "Dir::State": apt,
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::State::extended_states": apt / "extended_states",
        "Dir::Cache": apt,
        "Dir::Cache::archives": apt / "archives",
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": apt / "parts",
        "Dir::Etc::preferences": apt / "preferences",
        "Dir::Etc::preferencesparts": apt / "parts",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "APT::Keep-Downloaded-Packages": "true",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    apt_get = ["apt-get", "-q", "-y", *(f"-o{name}={value}" for name, value in private.items())]
    run(*apt_get, "update")
    run(*apt_get, "--download-only", "install", *PACKAGES)
    return sorted((apt / "archives").glob("*.deb"))


def _unpack(archive: Path, folder: Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as data:
        into = ["tar", "-x", "--keep-directory-symlink", "-C", str(folder)]
        done = subprocess.run(into, stdin=data.stdout, capture_output=True, text=True)
    if done.returncode or data.returncode:
        raise TreeError(f"{archive.name} did not unpack: {done.stderr}")


def _write_accounts(folder: Path) -> None:
    etc = folder / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUP)
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("hosts", "resolv.conf"):
        if os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", etc / name)


def _make_devices(folder: Path) -> None:
    (folder / "dev").mkdir(exist_ok=True)
    for name, minor in DEVICES.items():
        node = folder / "dev" / name
        node.unlink(missing_ok=True)
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        node.chmod(0o666)


def _finish(folder: Path) -> None:
    modes = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "run": 0o755, "proc": 0o555}
    for name, mode in modes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name).chmod(mode)
    run("ldconfig", "-r", folder)
    # no maintainer script ran, so let the certificates that pip may ask for be one file
    certificates = sorted((folder / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = folder / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(path.read_bytes() for path in certificates))
    libraries = [f"/{path.relative_to(folder)}" for path in sorted((folder / "usr/lib").glob("python3*"))]
    run("chroot", folder, "/usr/bin/python3", "-m", "compileall", "-q", *libraries)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m testing.trees", description="Make trees of suites.")
    parser.add_argument("suites", nargs="+", metavar="suite", help="a Debian suite: bookworm, trixie, sid")
    for suite in parser.parse_args(arguments).suites:
        print(tree(suite), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
