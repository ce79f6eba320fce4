"""What the parent does once for all its children: the modules that they import on use, and a few warm-ups."""

from __future__ import annotations

from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.start.digest import blake2b
from dovecot_urlauth.worker.warmup import warm_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.worker.target import WorkerConfig

MODULES = (
    "dovecot_urlauth.message.fetch",
    "dovecot_urlauth.store.fallback",
    "dovecot_urlauth.store.engine.engine",
    "dovecot_urlauth.store.native.mailbox",
    "dovecot_urlauth.wire.eventfilter",
    "dovecot_urlauth.wire.stats",
    "encodings.utf_16_be",
)
WARM_UPS = 10
"""After so many runs the interpreter has adapted its code (PEP 659), which the children then share."""


def preload(config: WorkerConfig) -> None:
    """Load everything that serving a URL takes in this dialect, and run it."""
    for name in MODULES:
        __import__(name)
    blake2b(b"", 1)
    loop = Loop()
    for _ in range(WARM_UPS):
        loop.run(warm_up(loop, config))
    loop.close()
