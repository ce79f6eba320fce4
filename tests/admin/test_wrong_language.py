"""What doveconf says of a file in the other generation's language, and what is made of it."""

from __future__ import annotations

import pytest

from dovecot_urlauth.admin.wrong_language import explain_language

FATAL = "doveconf: Fatal: Error in configuration file /e/x.conf line 3: "


@pytest.mark.parametrize(
    ("said", "language"),
    [
        # as 2.3.19.1 says it
        ("Unknown setting: mail_attribute { mail_attribute", "2.4"),
        ("Unknown setting: service { restart_request_count", "2.4"),
        ("Unknown setting: dovecot_config_version", "2.4"),
        ("Unknown setting: imap_capability { URLAUTH", "2.4"),
        # as 2.4.1 and 2.4.5 do
        ("The first setting must be dovecot_config_version", "2.3"),
        ("mail_attribute_dict: Unknown setting: mail_attribute_dict", "2.3"),
        (
            "service_count: Unknown setting: service_count (service_service_count or service_x not found either.)",
            "2.3",
        ),
        ("mail_location: Unknown setting: mail_location", "2.3"),
    ],
)
def test_the_language_is_named(said: str, language: str) -> None:
    other = "2.3" if language == "2.4" else "2.4"
    explained = explain_language(FATAL + said)
    assert explained.startswith(
        f"/e/x.conf: this file is for {language}, and this Dovecot's language is {other}'s"
    )
    assert f"conf.d/{other})" in explained


@pytest.mark.parametrize(
    "said",
    [
        f"{FATAL}Unknown setting: imap_urlauth_hots",
        f"{FATAL}Expecting '='",
        "doveconf: Fatal: open(/e/x.conf) failed: No such file or directory",
        "Unknown setting: mail_location",
        "",
    ],
)
def test_other_faults_are_not_explained(said: str) -> None:
    assert explain_language(said) == ""
