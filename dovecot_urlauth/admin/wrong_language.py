"""What a failure of doveconf means when a file is in the language of the other generation."""

from __future__ import annotations

import re

#: Names that one language has and the other does not, of those that are written for URLAUTH.
ONLY_2_3 = ("mail_attribute_dict", "mail_location", "service_count")
ONLY_2_4 = (
    "dovecot_config_version",
    "dovecot_storage_version",
    "imap_capability",
    "mail_attribute",
    "mail_driver",
    "mail_path",
    "restart_request_count",
)

_FILE = re.compile(r"configuration file (?P<file>\S+) line \d+: (?P<said>[^\n]*)")
_UNKNOWN = re.compile(r"Unknown setting: (?P<path>[\w{ -]+)")
FIRST_SETTING = "The first setting must be dovecot_config_version"


def explain_language(said: str) -> str:
    """A line to add to doveconf's ``said`` when the file is for the other generation; "" when it is not that."""
    found = _FILE.search(said)
    if found is None:
        return ""
    theirs = _language_of(found["said"])
    if not theirs:
        return ""
    ours = "2.3" if theirs == "2.4" else "2.4"
    return (
        f"{found['file']}: this file is for {theirs}, and this Dovecot's language is {ours}'s"
        f" (dovecot-urlauth's own files are in conf.d/{ours})"
    )


def _language_of(said: str) -> str:
    if said.startswith(FIRST_SETTING):
        return "2.3"
    unknown = _UNKNOWN.search(said)
    names = unknown["path"].replace("{", " ").split() if unknown else []
    if any(name in ONLY_2_4 for name in names):
        return "2.4"
    return "2.3" if any(name in ONLY_2_3 for name in names) else ""
