"""2.4: the defaults that a mail driver and a mailbox layout bring along.

``mail_driver = sdbox`` means ``mail_path = %{home}/sdbox`` and more, wherever nobody set them.  Which driver it is
can depend on the user, so this is settled when the userdb has spoken.  Afterwards a reader finds a namespace's
settings of the store in its block or, if they are not there, outside all blocks.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.settings import Settings

DEFAULTS = {"mailbox_list_layout": "fs", "mailbox_subscriptions_filename": "subscriptions"}
"""Of the settings that drivers bring, those whose own default is not blank (mail-storage-settings.c)."""


def with_driver_defaults(settings: Settings) -> Settings:
    """``settings`` with the drivers' defaults, outside all blocks and in namespaces with a driver of their own."""
    outside = _defaults(settings, "")
    added = {key: value for key, value in outside.items() if key not in settings}
    for name in settings.blocks("namespace"):
        prefix = f"namespace/{name}/"
        inside = _defaults(settings, prefix)
        for key in {**outside, **inside}:
            differs = inside.get(key) != outside.get(key)
            if differs and key not in settings and prefix + key not in settings:
                added[prefix + key] = inside.get(key, DEFAULTS.get(key, ""))
    return settings.merged(added)


def _defaults(settings: Settings, prefix: str) -> dict[str, str]:
    """What the driver and the layout in use bring, the more special ones over the others."""
    driver = settings.get(prefix + "mail_driver", settings.get("mail_driver"))
    if not driver:
        return {}
    brought = settings.get(f"{driver}/mailbox_list_layout", DEFAULTS["mailbox_list_layout"])
    outside = settings.get("mailbox_list_layout", brought)
    layout = settings.get(prefix + "mailbox_list_layout", outside)
    found: dict[str, str] = {}
    for path in (f"{driver}/", f"layout_{layout}/", f"{driver}/layout_{layout}/"):
        names = (key.removeprefix(path) for key in settings if key.startswith(path))
        found.update({name: settings.get(path + name) for name in names if "/" not in name})
    return found
