"""What the parent does once for all its children: the modules that they import on use, and a few warm-ups."""

from __future__ import annotations

import sys

from dovecot_urlauth.config.plugins import words
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.process import ProcessOver
from dovecot_urlauth.start.digest import blake2b
from dovecot_urlauth.start.frozen import complete_classes
from dovecot_urlauth.worker.parent.protocol import FORMATS
from dovecot_urlauth.worker.rehearsal import rehearse
from dovecot_urlauth.worker.warmup import warm_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.worker.target import WorkerConfig

MODULES = (
    "dovecot_urlauth.config.expressions",
    "dovecot_urlauth.config.mbox_rules",
    "dovecot_urlauth.message.fetch",
    "dovecot_urlauth.store.fallback",
    "dovecot_urlauth.store.engine.engine",
    "dovecot_urlauth.store.native.dbox.opened_mdbox",
    "dovecot_urlauth.store.native.dbox.opened_sdbox",
    "dovecot_urlauth.store.native.index.extensions",
    "dovecot_urlauth.store.native.mailbox",
    "dovecot_urlauth.store.native.mbox.opened_mbox",
    "dovecot_urlauth.store.native.mbox.places",
    "dovecot_urlauth.wire.eventfilter",
    "dovecot_urlauth.wire.stats",
    "encodings.utf_16_be",
)
BACKENDS = (
    "dovecot_urlauth.config.imapc_settings",
    "dovecot_urlauth.store.engine.pool",
    "dovecot_urlauth.store.engine.remote",
    "dovecot_urlauth.worker.backend.asking",
    "dovecot_urlauth.worker.backend.dialer",
)
"""What mail on another backend takes, but for TLS."""
DECODE = "dovecot_urlauth.store.native.decode"
KEYS = f"{DECODE}.crypt.private_key"
COMPRESSION = tuple(f"{DECODE}.{name}" for name in ("compression", "measured", "inflating", "zstd", "lz4"))
RIGHTS = (
    "config.acl_settings",
    "config.shared_owners",
    "store.native.acl.acl_files",
    "store.native.acl.governed",
    "store.native.owners",
)
PLUGIN_MODULES = {
    "zlib": COMPRESSION,
    "mail_compress": COMPRESSION,
    "acl": tuple(f"dovecot_urlauth.{name}" for name in RIGHTS),
    "mail_crypt": (f"{DECODE}.crypt.header", f"{DECODE}.crypt.decrypted", f"{DECODE}.crypt.keyring", KEYS),
}
"""What mails take to read that these plugins stored, or have a say about."""
ATTRIBUTES = {
    "proxy": "dovecot_urlauth.store.native.attributes.proxy_dict",
    "fs": "dovecot_urlauth.store.native.attributes.fs_dict",
}
"""What it takes to read mailbox attributes in these dictionaries; 2.4's are mostly called after their driver."""
METHOD_MODULES: dict[str, tuple[str, ...]] = {
    "gz": (),
    "deflate": (),
    "bz2": ("bz2",),
    "xz": ("lzma",),
    "zstd": ("compression.zstd", "zstandard"),
    "lz4": ("lz4.block",),
}
"""Libraries by the method that new mails are compressed with; of zstd's two one is enough."""
ANY_METHOD = tuple(module for modules in METHOD_MODULES.values() for module in modules)
"""Where nothing is said of new mails, old ones may have been compressed with whatever."""
WARM_UPS = 10
"""After so many runs the interpreter has adapted its code (PEP 659), which the children then share."""


def wanted_by_plugins(settings: Settings) -> list[str]:
    """The modules that plugins and dictionaries take, as far as the settings tell without asking for a user."""
    plugins = words(settings.get("mail_plugins"))
    found = [name for plugin in plugins for name in PLUGIN_MODULES.get(plugin, ())]
    if COMPRESSION[0] in found:
        method = settings.get("plugin/zlib_save") or settings.get("mail_compress_write_method")
        found += METHOD_MODULES.get(method, ANY_METHOD)
    kept_by, _, _ = settings.get("mail_attribute_dict").partition(":")
    found += [
        ATTRIBUTES[driver] for driver in (kept_by, *settings.blocks("mail_attribute/dict")) if driver in ATTRIBUTES
    ]
    return found


def preload(config: WorkerConfig) -> None:
    """Load everything that serving a URL takes in this dialect, and run it."""
    for name in MODULES if config.backends is None else (*MODULES, *BACKENDS):
        __import__(name)
    wanted = wanted_by_plugins(config.settings)
    if wanted:
        from dovecot_urlauth.start.distribution import add_distribution

        add_distribution()
    for name in wanted:
        try:
            __import__(name)
        except ImportError:
            continue  # mails that need it go to Dovecot's own imap, and say so
    keys = sys.modules.get(KEYS)
    if KEYS in wanted and keys is not None:
        keys.warm_up()
    blake2b(b"", 1)
    complete_classes()
    loop = Loop()
    for _ in range(WARM_UPS):
        loop.run(warm_up(loop, config))
        _rehearse(loop, config)
    loop.close()


def _rehearse(loop: Loop, config: WorkerConfig) -> None:
    for kept_as in FORMATS:
        try:
            loop.run(rehearse(loop, config, kept_as))
        except ProcessOver:
            raise
        except Exception:
            return  # no memory or descriptors: the first client will see to it that somebody hears of it
