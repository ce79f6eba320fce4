"""From a stage's start-up line to its exit status: nothing leaves as a traceback.

Exit statuses are lib/failures.h's.
"""

from __future__ import annotations

import gc
import os

from dovecot_urlauth.dialect.choose import choose_dialect
from dovecot_urlauth.dialect.dialect import SettingsError
from dovecot_urlauth.service.environment import Environment, EnvironmentInvalid, read_environment
from dovecot_urlauth.service.log import Log, LogPipe
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from dovecot_urlauth.dialect.dialect import Dialect

EXIT_OK = 0
EXIT_USAGE = 64
EXIT_FATAL = 89

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + "/"
PLACES_SHOWN = 4


class Fatal(Exception):
    """The process cannot go on: the text is logged as fatal, the status given to master."""

    def __init__(self, text: str, status: int = EXIT_FATAL) -> None:
        super().__init__(text)
        self.status = status


@frozen
class Start:
    """What every stage begins with."""

    arguments: tuple[str, ...]
    executable: str
    environment: Environment
    dialect: Dialect
    log: Log


def run(argv: list[str], executable: str, stage: Callable[[Start], int]) -> int:
    """Run ``stage`` and return the exit status; whatever it raises becomes one log line."""
    gc.freeze()  # the executables have disabled it: collecting among what is being imported takes 2 ms
    gc.enable()
    log = Log(f"{executable}: ", LogPipe(to_master=bool(os.environ.get("LOG_SERVICE"))))
    dialect, warning = choose_dialect(os.environ)
    try:
        environment = read_environment(os.environ, executable)
        log.prefix = f"{environment.service_name}: "
        log.pipe.debugging = environment.log_debug
        if warning is not None:
            log.warning(warning)
        status = stage(Start(tuple(argv[1:]), executable, environment, dialect, log))
        if environment.under_master:
            # The interpreter's own way out takes as long as a fetch, and gives back what the kernel frees anyway.
            os._exit(status)
        return status
    except Fatal as error:
        log.fatal(str(error))
        return error.status
    except (EnvironmentInvalid, PrivilegesKept) as error:
        log.fatal(str(error))
        return EXIT_FATAL
    except SettingsError as error:
        log.fatal(dialect.settings_error_format.format(error=error.text))
        return EXIT_FATAL
    except KeyboardInterrupt:
        return EXIT_OK
    except Exception as error:
        log.fatal(f"Unexpected {describe(error)}")
        return EXIT_FATAL


def describe(error: BaseException) -> str:
    """One line for an exception that should not be: what and where, innermost place last."""
    places = []
    frame = error.__traceback__
    while frame is not None:
        places.append(place(frame.tb_frame, frame.tb_lineno))
        frame = frame.tb_next
    return f"{type(error).__name__}: {error} at {' < '.join(reversed(places[-PLACES_SHOWN:]))}"


def place(frame: FrameType, line: int) -> str:
    """Where a frame is, as log lines have it."""
    return f"{_short_name(frame.f_code.co_filename)}:{line} ({frame.f_code.co_name})"


def _short_name(path: str) -> str:
    """Room and file of one of ours, ``worker/session.py``, of others the file and its folder."""
    return "/".join(path.removeprefix(PACKAGE).split("/")[-2:])
