"""Seeded URLs for the comparison with the stock worker: right ones, and ones bent in the grammar's joints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dovecot_urlauth.url.token import mint

if TYPE_CHECKING:
    from random import Random

NUMBERS = [b"", *b"0 1 01 2 -1 x 1x 4294967295 4294967296 4772185884".split()]
OFFSETS = [b"", *b"0 3 07 x 9223372036854775808 18446744073709551615 18446744073709551616".split()]
DATES = [
    b"",
    *b"""x 2038-01-01T00:00:00Z 2001-01-01T00:00:00Z 2030-02-29T00:00:00Z 2032-02-29t23:59:60.123456+23:59
    9999-12-31T23:59:59-23:59 1900-01-01T00:00:00z 1899-12-31T00:00:00Z 1969-12-31T23:59:59Z
    2030-01-01T24:00:00Z 2030-01-01T00:00:61Z 2030-00-01T00:00:00Z 2030-13-01T00:00:00Z 2030-1-01T00:00:00Z
    2030-01-01T00:00:00.Z 2030-01-01T00:00:00 2030-01-01T00:00:00+24:00 2030-01-01T00:00:00+0000
    2030-01-01%54T00:00:00Z 2038-01-01T00:00:00Z;X 2038-01-01T00:00:00Z/""".split(),
]

#: For each component of a rump URL in its order the usual text, and the texts that lead into its corners.
RUMP = [
    (b"imap:", [b"", *b"IMAP: imaps: imap im+ap: 1imap:".split(), b"i" * 64 + b":", b"i" * 65 + b":"]),
    (b"//", [b"", *b"/ /// //%2f".split()]),
    (
        b"alice@",
        [
            b"",
            b"a\xe4@",
            *b"""@ bob@ ALICE@ ali%63e@ %41lice@ ali%4@ a%@ alice%zz@ a%00b@ a/b@ a[b@ a@b@ a:b@ alice;x@
            alice;AUTH=*@ alice;auth=%@ ;AUTH=PLAIN@ alice;AUTH=@ alice;AUTH=a;b:c@ alice;AUTH=%00@
            alice%;AUTH=x@""".split(),
        ],
    ),
    (
        b"imap.example.test",
        [
            b"",
            b"a\xe4",
            b"[1.2.3.4 ]",
            *b"""other.test IMAP.example.test imap.example.test. imap.example.test.. -imap imap-
            imap-.x a_b a..b 1.2.3.4 1.2.3.4.5 1.2.3.256 1.2.3 1 1.2.3.4x 01.2.3.4
            %69map.example.test i%6Dap.example.test imap%2eexample.test imap%2e
            im%2fap %2e %6 a%00 imap%2Dx.test %61.b a.%62 a.%62c
            [::1] [::1 [] [v1.a] [x] [::1]x [fe80::1%25] [1.2.3.4] [1] [0x7f.1] [08.1.1.1]
            [::ffff:1.2.3.4]""".split(),
        ],
    ),
    (b"", b": :143 :0143 :0 :144 :65535 :65536 :72817 :99999999999999999999 :1x".split()),
    (
        b"/INBOX",
        [
            b"",
            b"/a b",
            b"/a\xe4",
            b"/\x01",
            b"/%\xff0",
            b"/%1\x7f",
            *rb"""/ //INBOX /inbox /%49NBOX /x/../INBOX /./INBOX /INBOX/ /INBOX// /INBOX/. /INBOX/.. /../INBOX
            /.. /INBOX/%2e%2e /missing /a;b /a%3bb /% /%4 /%4/ /%00 /%zz /a%c3%a4 /a%2fb /a% /~x
            /INBOX; /INBOX;UID=1 INBOX /[ /a\b""".split(),
        ],
    ),
    (b"", [b";uidvalidity=9;x", b"/;UIDVALIDITY=7", *(b";UIDVALIDITY=" + number for number in NUMBERS)]),
    (
        b"/;UID=1",
        [b"", b"/;uid=1", b"/;UID=1/", b";UID=1", b"/;UI=1", *(b"/;UID=" + number for number in NUMBERS)],
    ),
    (
        b"",
        b"""/;SECTION=1 /;section=HEADER /;SECTION= /;SECTION /SECTION=1 /;SECTION=/ /;SECTION=TEXT/
        /;SECTION=/TEXT /;SECTION=%54EXT /;SECTION=TEXT/. /;SECTION=x/../TEXT /;SECTION=a/b;c/d
        /;SECTION=1/;X= /;SECTION=HEADER.FIELDS%20(SUBJECT)""".split(),
    ),
    (
        b"",
        [
            *b"/;PARTIAL=.1 /;PARTIAL=x.0 /;PARTIAL=1.2.3 /;PARTIAL=1;x/y /;PARTIAL=1/ /;PARTIAL=.".split(),
            *(b"/;PARTIAL=" + number for number in OFFSETS),
            *(b"/;partial=1." + number for number in OFFSETS),
        ],
    ),
    (b"", [b";expire=2038-01-01T00:00:00Z", *(b";EXPIRE=" + date for date in DATES)]),
    (
        b";URLAUTH=authuser",
        [b"", b";URLAUTH", b";X", b";x" * 50]
        + [
            b";URLAUTH=" + access
            for access in b"""+bob anonymous Anonymous AUTHUSER authuser+x %41 other+x user user+ user+%
            user+bob USER+B%4fB user+carol user+anonymous user+a+b submit submit+bob submit+carol submi+x
            submitx+x stream stream+bob stre streamX""".split()
        ]
        + [b";URLAUTH=", b";urlauth=authuser"],
    ),
]
MECHANISM = (b":INTERNAL", [b"", *b":internal : :OTHER :INTER+NAL ::INTERNAL :INTERNAL%41".split()])
TAIL = (b"", [b" ", b"?a b", b"#a\xff", *b"? ?x # #x ?% ?a%00 ?a?/#b# / % ;x :x".split()])

#: Bytes that mean something somewhere in a URL, and some that never do.
BYTES = b":/?#[]@!$&'()*+,;=%-._~0129aAfFgGzZTtUu \"<>\\^`{|}\x01\t\n\r\x7f\x80\xc3\xa4\xff"


@dataclass(frozen=True)
class URLMaker:
    """Makes URLs of a mailbox whose key is known; the same seed makes the same URLs."""

    random: Random
    key: bytes

    def make(self) -> bytes:
        """One URL: some components odd, some bytes bent; the token fits the rump as a rule."""
        odd = self.random.choices((0, 1, 2, 4), (2, 6, 3, 1))[0]
        places = set(self.random.sample(range(len(RUMP) + 2), odd))
        rump = b"".join(self._pick(component, place in places) for place, component in enumerate(RUMP))
        if self.random.random() < 0.2:
            rump = self._bend(rump)
        mechanism = self._pick(MECHANISM, len(RUMP) in places)
        url = rump + mechanism + b":" + self._token(rump) + self._pick(TAIL, len(RUMP) + 1 in places)
        return self._bend(url) if self.random.random() < 0.2 else url

    def _pick(self, component: tuple[bytes, list[bytes]], odd: bool) -> bytes:
        usual, others = component
        return self.random.choice(others) if odd else usual

    def _token(self, rump: bytes) -> bytes:
        token = mint(self.key, rump).hex().encode()
        wrong = mint(self.key[::-1], rump).hex().encode()
        odd = [b"", token.upper(), token[:-1], token[:31], token[:32], token + b"00", b"g" + token[1:], wrong]
        return self._pick((token, odd), self.random.random() < 0.3)

    def _bend(self, url: bytes) -> bytes:
        bent = bytearray(url)
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randrange(len(bent) + 1)
            byte = bytes((self.random.choice(BYTES),))
            match self.random.randrange(4):
                case 0:
                    bent[at:at] = byte
                case 1:
                    bent[at : at + 1] = byte
                case 2:
                    del bent[at : at + self.random.randint(1, 4)]
                case 3:
                    bent[at:at] = bent[at : at + self.random.randint(1, 8)]
        return bytes(bent)
