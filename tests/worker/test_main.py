"""What the worker finds out at its start."""

from __future__ import annotations

from pathlib import Path

from dovecot_urlauth.worker.main import find_libexec_dir


def test_where_dovecots_programs_are(tmp_path: Path) -> None:
    folders = tuple(str(tmp_path / name) for name in ("debian", "redhat", "local"))
    assert find_libexec_dir(folders) == folders[0]
    for name in ("redhat", "local"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "imap").touch(0o755)
    assert find_libexec_dir(folders) == folders[1]
    (tmp_path / "redhat/imap").chmod(0o644)
    assert find_libexec_dir(folders) == folders[2]
