"""Making a child: it never comes back into its parent's frames, whatever happens to it."""

from __future__ import annotations

import os

from dovecot_urlauth.service.run import EXIT_FATAL, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.log import Log


def fork(live: Callable[[], int], log: Log) -> int:
    """Fork a child that lives and exits with the status that ``live()`` returns; its pid. Raises OSError.

    An exception is one line, if there is memory left for one.
    """
    pid = os.fork()
    if pid:
        return pid
    status = EXIT_FATAL
    try:
        status = live()
    except BaseException as error:
        log.fatal(f"Unexpected {describe(error)}")
    finally:
        os._exit(status)
