# ruff: noqa: E501  (a row is a row)
"""What the RFCs say of URLAUTH, sentence by sentence and in our own words, as questions to a worker.

RFC 4467 (URLAUTH), 5092 (IMAP URLs), 5524 (URLFETCH BINARY and BODYPARTSTRUCTURE), 5593 (access identifiers of
services), 4468 (BURL).  Each row is a URL of one message of alice's, signed with her mailbox's key whatever it
says, and what must come of it.  Where Dovecot's own worker does something else, ``stock`` says what; where we do as
Dovecot and not as the RFC, ``kept`` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from testing.scene import DECODED, MESSAGE, SECTIONS

NO = None
"""The answer is a refusal, which a client of imap sees as NIL."""

HOST = "imap.example.test"
PLACE = f"imap://alice@{HOST}/INBOX;UIDVALIDITY={{validity}}/;UID={{uid}}"


@dataclass(frozen=True)
class Sentence:
    """One row: ``url`` is the rump behind which the token comes, unless ``token`` says otherwise."""

    source: str
    says: str
    url: str
    answer: bytes | None
    user: str = "bob"
    service: str = "imap"
    applications: tuple[str, ...] = ()
    flags: tuple[str, ...] = ("body",)
    token: str = "good"
    stock: str = ""
    """What Dovecot's own worker does instead; empty if it does the same."""
    mended: bool = False
    """Whether Dovecot does the same since 2.4.3."""
    kept: str = ""
    """What the RFC would have, where we do as Dovecot does."""


def of(section: str, access: str = "user+bob", more: str = "") -> str:
    """The rump of a part of the message."""
    return f"{PLACE}{f'/;SECTION={section}' if section else ''}{more};URLAUTH={access}"


REFUSED = "refused"
HANDED_OUT = "handed out"
EMPTY = "an empty literal, behind which imap's client hangs"

WHOLE = of("")

ACCESS = (
    ("4467 3", "user+ is not for the anonymous", "user+bob", "", NO),
    ("4467 3", "authuser is for everybody who has a name", "authuser", "carol", MESSAGE),
    ("4467 3", "authuser is not for the anonymous", "authuser", "", NO),
    ("4467 3", "anonymous is for everybody", "anonymous", "bob", MESSAGE),
    ("4467 3", "anonymous is for the anonymous, too", "anonymous", "", MESSAGE),
    ("4467 3", "identifiers are compared without regard to case", "USER+bob", "bob", MESSAGE),
    ("4467 3", "so is authuser", "AuthUser", "bob", MESSAGE),
    ("4467 3", "so is anonymous", "Anonymous", "", MESSAGE),
    ("4467 3", "an identifier that nobody knows is for nobody", "friend", "bob", NO),
    ("4467 3", "nor with a user behind it", "friend+bob", "bob", NO),
    ("4467 3", "submit+ is not for mail clients", "submit+bob", "bob", NO),
    ("5593 2", "stream is not for mail clients", "stream", "bob", NO),
    ("4467 9", "user+ takes a name", "user+", "bob", NO),
    ("4467 9", "user takes a name", "user", "bob", NO),
    ("5092 11", "a name may be written with percent signs", "user+b%6Fb", "bob", MESSAGE),
    ("4467 9", "a prefix of an identifier is another one", "authuse", "bob", NO),
    ("4467 9", "so is a longer one", "authusers", "bob", NO),
)

SENTENCES = [
    *(Sentence(source, says, of("", access), answer, user=user) for source, says, access, user, answer in ACCESS),
    Sentence("4467 3", "user+ is for nobody else", of("", "user+carol"), NO, stock=HANDED_OUT, mended=True),
    Sentence("4467 3", "not even for the owner", of("", "user+alice"), NO, stock=HANDED_OUT, mended=True),
    Sentence("4467 3", "submit+ is for submission, of that user", of("", "submit+bob"), MESSAGE, service="submission"),
    Sentence("4467 3", "submission of another user does not get it", of("", "submit+carol"), NO, service="submission"),
    Sentence("4467 3", "user+ is not for submission", of("", "user+bob"), NO, service="submission"),
    Sentence("4467 3", "authuser is not for submission", of("", "authuser"), NO, service="submission"),
    Sentence("4468 3.2", "anonymous is not for submission", of("", "anonymous"), NO, service="submission"),
    Sentence("4468 3.3", "a submission server may ask as itself", of("", "submit+bob"), MESSAGE, user="submitsrv",
             applications=("submit+",)),
    Sentence("4468 3.3", "it gets no URL that is for users", of("", "user+bob"), NO, user="submitsrv",
             applications=("submit+",), stock=HANDED_OUT, mended=True),
    Sentence("5593 2", "a media server asks for stream", of("", "stream"), MESSAGE, user="streamsrv",
             applications=("stream",)),
    Sentence("5593 2", "stream takes no user", of("", "stream+bob"), NO, user="streamsrv", applications=("stream",)),
    Sentence("5593 2", "a media server gets nothing of submission's", of("", "submit+bob"), NO, user="streamsrv",
             applications=("stream",)),
    Sentence("4467 9", "authuser takes no user", of("", "authuser+carol"), MESSAGE, kept="a syntax error"),
    Sentence("4467 9", "anonymous takes no user", of("", "anonymous+carol"), MESSAGE, kept="a syntax error"),

    Sentence("4467 6", "a token of another length is none", WHOLE, NO, token="short"),
    Sentence("4467 6", "a token with one wrong digit is refused", WHOLE, NO, token="wrong"),
    Sentence("4467 6", "a token in upper case is the same number", WHOLE, MESSAGE, token="upper"),
    Sentence("4467 6", "a token of another version of ours is refused", WHOLE, NO, token="version"),
    Sentence("4467 6", "a token with more behind it is refused", WHOLE, NO, token="long"),
    Sentence("4467 6", "a URL without a token is refused", WHOLE, NO, token="none"),
    Sentence("4467 6", "INTERNAL is compared without regard to case", WHOLE, MESSAGE, token="INTERNAL"),
    Sentence("4467 6", "another mechanism is refused", WHOLE, NO, token="mechanism"),
    Sentence("4467 6", "the token covers the rump's bytes, not their meaning", WHOLE, NO, token="respelled"),
    Sentence("4467 6", "a token of another key is worth nothing", WHOLE, NO, token="key"),
    Sentence("4467 7", "URLAUTH stands last, the token apart", f"{PLACE};URLAUTH=user+bob;EXPIRE=2099-01-01T00:00:00Z",
             NO),
    Sentence("4467 7", "a URL is no URLAUTH without an access identifier", PLACE, NO),

    Sentence("4467 3", "a time to come lets in", of("", more=";EXPIRE=2099-12-31T23:59:59Z"), MESSAGE),
    Sentence("4467 3", "a time gone by does not", of("", more=";EXPIRE=2001-12-31T23:59:59Z"), NO),
    Sentence("3339 5.6", "a time may have a zone ahead", of("", more=";EXPIRE=2099-12-31T23:59:59+14:00"), MESSAGE),
    Sentence("3339 5.6", "and one behind", of("", more=";EXPIRE=2099-12-31T23:59:59-11:30"), MESSAGE),
    Sentence("3339 5.6", "a time may have fractions", of("", more=";EXPIRE=2099-12-31T23:59:59.125Z"), MESSAGE),
    Sentence("3339 5.6", "t and z may be small", of("", more=";EXPIRE=2099-12-31t23:59:59z"), MESSAGE),
    Sentence("3339 5.6", "a zone is needed", of("", more=";EXPIRE=2099-12-31T23:59:59"), NO),
    Sentence("3339 5.6", "a month is one of twelve", of("", more=";EXPIRE=2099-13-31T23:59:59Z"), NO),
    Sentence("3339 5.6", "an hour one of 24", of("", more=";EXPIRE=2099-12-31T24:00:00Z"), NO),
    Sentence("3339 5.6", "a date alone is no time", of("", more=";EXPIRE=2099-12-31"), NO),
    Sentence("4467 9", "EXPIRE comes once", of("", more=";EXPIRE=2099-12-31T23:59:59Z;EXPIRE=2099-12-31T23:59:59Z"), NO),

    *(Sentence("5092 6.1.1", f"SECTION={section or 'none'} is what FETCH gives", of(section.replace(" ", "%20")), content)
      for section, content in SECTIONS.items()),
    Sentence("5092 6.1.1", "a part that is not there is nothing", of("9"), NO, stock=EMPTY),
    Sentence("5092 6.1.1", "nor is a part of a leaf", of("1.7"), NO, stock=EMPTY),
    Sentence("3501 6.4.5", "MIME takes a part", of("MIME"), NO),
    Sentence("3501 6.4.5", "a word that is no section is refused", of("FOO"), NO),
    Sentence("3501 6.4.5", "parts are counted from one", of("0"), SECTIONS["1"], kept="a syntax error"),
    Sentence("3501 9", "so is the one of 33 bits whose last 32 are nothing", of("4294967296"), SECTIONS["1"], kept="a syntax error"),
    Sentence("3501 9", "a part's number has 32 bits", of("4294967297"), SECTIONS["1"], kept="a syntax error"),
    Sentence("3501 9", "a dot ends no number", of("1."), NO),
    Sentence("3501 6.4.5", "words are compared without regard to case", of("header"), SECTIONS["HEADER"]),
    Sentence("3501 6.4.5", "fields need a list", of("HEADER.FIELDS"), NO),

    Sentence("5092 6.1.1", "PARTIAL takes bytes from an offset", of("", more="/;PARTIAL=3.10"), MESSAGE[3:13]),
    Sentence("5092 6.1.1", "without a length it takes the rest", of("", more="/;PARTIAL=100"), MESSAGE[100:]),
    Sentence("5092 6.1.1", "more than there is is what there is", of("1", more="/;PARTIAL=5.9999"), SECTIONS["1"][5:]),
    Sentence("5092 6.1.1", "behind the end is nothing", of("1", more="/;PARTIAL=9999.5"), NO, stock=EMPTY),
    Sentence("5092 6.1.1", "a length is not zero", of("1", more="/;PARTIAL=1.0"), NO),
    Sentence("5092 11", "an offset is a number", of("1", more="/;PARTIAL=x"), NO),
    Sentence("5092 11", "PARTIAL takes a value", of("1", more="/;PARTIAL="), NO),

    Sentence("5092 11", "the scheme is compared without regard to case", WHOLE.replace("imap:", "IMAP:"), MESSAGE),
    Sentence("5092 11", "another scheme is refused", WHOLE.replace("imap:", "imaps:"), NO),
    Sentence("3986 6.2.2.1", "so is the host", WHOLE.replace(HOST, HOST.upper()), MESSAGE, stock=REFUSED),
    Sentence("5092 3", "another host is refused", WHOLE.replace(HOST, "other.example.test"), NO),
    Sentence("5092 3", "a host's beginning is another one", WHOLE.replace(HOST, "imap.example"), NO),
    Sentence("3986 3.2.2", "a host may be written with percent signs", WHOLE.replace("imap.ex", "im%61p.ex"), MESSAGE),
    Sentence("5092 3", "the port may be named", WHOLE.replace(HOST, f"{HOST}:143"), MESSAGE),
    Sentence("3986 3.2.3", "an empty port is the usual one", WHOLE.replace(HOST, f"{HOST}:"), MESSAGE),
    Sentence("5092 3", "another port is refused", WHOLE.replace(HOST, f"{HOST}:1143"), NO),
    Sentence("5092 11", "a host is needed", WHOLE.replace(HOST, ""), NO),
    Sentence("4467 7", "a relative URL is no URLAUTH URL", WHOLE.removeprefix("imap:"), MESSAGE, kept="no URLAUTH URL"),
    Sentence("4467 7", "nor is a path", WHOLE.removeprefix(f"imap://alice@{HOST}"), NO),
    Sentence("4467 3", "the owner must be named", WHOLE.replace("alice@", ""), NO),
    Sentence("4467 3", "another owner than the selected one is refused", WHOLE.replace("alice@", "carol@"), NO),
    Sentence("5092 11", "a user may be written with percent signs", WHOLE.replace("alice@", "al%69ce@"), MESSAGE),
    Sentence("5092 3.2", "a mechanism may stand behind the user", WHOLE.replace("alice@", "alice;AUTH=*@"), MESSAGE),
    Sentence("5092 3.2", "or be named", WHOLE.replace("alice@", "alice;AUTH=PLAIN@"), MESSAGE),
    Sentence("5092 3.2", "a user and an empty mechanism are none", WHOLE.replace("alice@", "alice;AUTH=@"), NO),

    Sentence("5092 6", "UIDVALIDITY may be left out", WHOLE.replace(";UIDVALIDITY={validity}", ""), MESSAGE),
    Sentence("5092 6", "a wrong one is refused", WHOLE.replace("{validity}", "1"), NO),
    Sentence("5092 11", "zero is no UIDVALIDITY", WHOLE.replace("{validity}", "0"), NO),
    Sentence("5092 11", "its name is compared without regard to case", WHOLE.replace("UIDVALIDITY", "uidvalidity"), MESSAGE),
    Sentence("5092 11", "it is a number", WHOLE.replace("{validity}", "x"), NO),
    Sentence("5092 6.1", "a message that is not there is refused", WHOLE.replace("{uid}", "999999"), NO),
    Sentence("5092 11", "zero is no UID", WHOLE.replace("{uid}", "0"), NO),
    Sentence("5092 11", "a UID has 32 bits", WHOLE.replace("{uid}", "4294967296"), NO),
    Sentence("5092 11", "UID is compared without regard to case", WHOLE.replace("UID={uid}", "uid={uid}"), MESSAGE),
    Sentence("5092 6", "a message must be named", WHOLE.replace("/;UID={uid}", ""), NO),
    Sentence("5092 6", "a search is no message", WHOLE.replace("/;UID={uid}", "?ALL"), NO),
    Sentence("5092 6", "a mailbox must be named", WHOLE.replace("INBOX;UIDVALIDITY={validity}", ""), NO),
    Sentence("5092 6", "INBOX is compared without regard to case", WHOLE.replace("INBOX", "inBox"), MESSAGE),
    Sentence("5092 11", "a mailbox may be written with percent signs", WHOLE.replace("INBOX", "INBO%58"), MESSAGE),
    Sentence("5092 6", "a mailbox that is not there is refused", WHOLE.replace("INBOX", "Nowhere"), NO),
    Sentence("3986 2.1", "a percent sign takes two digits", WHOLE.replace("INBOX", "INBO%5"), NO),
    Sentence("3986 3.5", "a fragment is part of no IMAP URL", WHOLE.replace("{uid}", "{uid}#x"), NO),
    Sentence("3986 2.2", "a space stands in no URL", WHOLE.replace("INBOX", "IN BOX"), NO),
    Sentence("5092 11", "what nobody knows is refused", of("", more=";FOO=bar"), NO),

    *(Sentence("5524 3.1", f"BINARY decodes part {section}", of(section), content, flags=("binary",))
      for section, content in DECODED.items()),
    Sentence("5524 3.1", "BINARY of part of what is decoded", of("1", more="/;PARTIAL=2.4"), DECODED["1"][2:6],
             flags=("binary",)),
    Sentence("5524 3.1", "BINARY of a part's header is refused", of("1.MIME"), SECTIONS["1.MIME"], flags=("binary",),
             kept="an error, since BINARY takes no MIME"),
    Sentence("5524 3.1", "BINARY of the whole message decodes its parts", of("HEADER"), SECTIONS["HEADER"],
             flags=("binary",)),
]  # fmt: skip
