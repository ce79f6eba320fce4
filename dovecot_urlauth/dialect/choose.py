"""From the environment that master gives to the dialect that the process speaks."""

from __future__ import annotations

from dovecot_urlauth.dialect.versions import (
    DOVECOT_2_3_13,
    DOVECOT_2_3_17,
    DOVECOT_2_3_18,
    DOVECOT_2_3_19,
    DOVECOT_2_4_1,
    DOVECOT_2_4_2,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.dialect.dialect import Dialect

SINCE = (
    ((2, 3, 0), DOVECOT_2_3_13),
    ((2, 3, 17), DOVECOT_2_3_17),
    ((2, 3, 18), DOVECOT_2_3_18),
    ((2, 3, 19), DOVECOT_2_3_19),
    ((2, 4, 0), DOVECOT_2_4_1),
    ((2, 4, 2), DOVECOT_2_4_2),
)
"""The first version of each dialect, ascending."""

TESTED = (((2, 3, 13), (2, 3, 21)), ((2, 4, 0), (2, 4, 5)))
"""First and last version of each series whose behaviour is known."""


def choose_dialect(environment: Mapping[str, str]) -> tuple[Dialect, str | None]:
    """Return the dialect for the running Dovecot, and a warning when its version has never been seen.

    Master names its version in ``DOVECOT_VERSION``, unless ``version_ignore = yes``; without the name the
    variables that each generation adds are told apart (lib-master/master-service.c).

    A version never seen gets the newest dialect of its series; one of no series that we know, such as the
    ``0.0.0-37075+f28b5a92ec`` of a build from git, the newest of all.
    """
    text = environment.get("DOVECOT_VERSION", "")
    if not text:
        return _by_variables(environment), None
    version = parse_version(text)
    chosen = _newest_of_series(version)
    if version is not None and any(first <= version <= last for first, last in TESTED):
        return chosen, None
    return chosen, (
        f"Dovecot {text} is not known to dovecot-urlauth: speaking the dialect of {chosen.name}, "
        "the nearest one (set version_ignore=yes to silence this)"
    )


def _newest_of_series(version: tuple[int, int, int] | None) -> Dialect:
    """The newest dialect that is no newer than ``version``, in its series; the newest of all without one."""
    of_series = [
        dialect
        for first, dialect in SINCE
        if version is not None and first[:2] == version[:2] and first <= version
    ]
    return of_series[-1] if of_series else SINCE[-1][1]


def parse_version(text: str) -> tuple[int, int, int] | None:
    """``"2.4.1-4"`` or ``"2.3.19.1"`` -> its first three numbers; None when the text has no such form."""
    numbers = []
    for piece in text.split(".")[:3]:
        digits = piece[: len(piece) - len(piece.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    if len(numbers) < 2:
        return None
    major, minor, patch = (*numbers, 0)[:3]
    return major, minor, patch


def _by_variables(environment: Mapping[str, str]) -> Dialect:
    if "CONFIG_FILE_SOCKET" not in environment:
        return DOVECOT_2_3_19
    if "DOVECOT_ACCEPTED_CLIENT_LISTENER_FD" in environment or "REUSE_PORT" in environment:
        return DOVECOT_2_4_2
    return DOVECOT_2_4_1
