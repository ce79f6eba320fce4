"""What the parsers of Dovecot's versions do differently, as data.

Found by running each version over the same messages (lib-mail, lib-imap and lib-storage's binary converter).
The dialect chooses one of the constants below; nothing else in this room knows a version.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen


@frozen
class MessageRules:
    """One version's reading of a message."""

    #: A broken Content-Type loses its type altogether; before, what had been read of it stayed.
    strict_content_type: bool
    #: A header line without a colon is all name; later it is all value and has the empty name.
    colonless_line_is_name: bool
    #: A field name longer than this makes the whole line a value without a name; 0 for no limit.
    field_name_limit: int
    #: Parameters (and broken bits between them) looked at in one field.
    parameter_limit: int
    #: RFC 2231 parameters are decoded to UTF-8 and duplicates dropped; before, pieces were only joined.
    rfc2231_decoded: bool
    #: Domains in an envelope are mapped as UTS #46 says: lower case, punycode decoded.
    unicode_domains: bool
    #: The text for an encoding that is none of 7bit, 8bit, binary, quoted-printable and base64.
    unknown_encoding: str
    #: BODYPARTSTRUCTURE together with BINARY calls the encoding of the decoded parts ``binary``.
    binary_encoding_shown: bool


RULES_2_3_13 = MessageRules(
    strict_content_type=False,
    colonless_line_is_name=True,
    field_name_limit=0,
    parameter_limit=10_000,
    rfc2231_decoded=False,
    unicode_domains=False,
    unknown_encoding="Unknown Content-Transfer-Encoding.",
    binary_encoding_shown=False,
)

RULES_2_3_19_DEBIAN = MessageRules(
    strict_content_type=True,
    colonless_line_is_name=False,
    field_name_limit=1000,
    parameter_limit=128,
    rfc2231_decoded=False,
    unicode_domains=False,
    unknown_encoding="Unknown Content-Transfer-Encoding.",
    binary_encoding_shown=False,
)

RULES_2_4_1 = MessageRules(
    strict_content_type=True,
    colonless_line_is_name=False,
    field_name_limit=1000,
    parameter_limit=128,
    rfc2231_decoded=True,
    unicode_domains=False,
    unknown_encoding="Unknown Content-Transfer-Encoding",
    binary_encoding_shown=True,
)

RULES_2_4_5 = MessageRules(
    strict_content_type=True,
    colonless_line_is_name=False,
    field_name_limit=1000,
    parameter_limit=128,
    rfc2231_decoded=True,
    unicode_domains=True,
    unknown_encoding="Unknown Content-Transfer-Encoding",
    binary_encoding_shown=True,
)
