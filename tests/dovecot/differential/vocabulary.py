"""The pieces that messages are made of: usual ones, and those that lead into the corners of Dovecot's parsers.

What a piece is about stands in STD 11 (addresses, comments, folding), RFC 2045 and 2046 (types, encodings,
boundaries), RFC 2231 (parameters in pieces) and RFC 3282 (languages).
"""

from __future__ import annotations

#: Several are prefixes of others, some end like a close delimiter, some are longer than the 80 bytes that count.
BOUNDARIES = (
    b"a", b"ab", b"abc", b"a--", b"a-", b"A", b"foo", b"foobar", b"--", b"-", b"b b", b"=_1", b"1", b"",
    b"x" * 79, b"x" * 80, b"x" * 85,
)  # fmt: skip
AFTER_BOUNDARY = (b"",) * 8 + (b" ", b"x", b"-", b" \t", b"--x", b"\r")

MULTIPARTS = (
    b"multipart/mixed", b"multipart/digest", b"multipart/alternative", b"MULTIPART/Mixed", b"multipart/x",
)  # fmt: skip

TYPES = (
    b"text/plain", b"text/html", b"TEXT/Plain", b"application/octet-stream", b"image/x", b"message/partial",
    b"multipart/mixed", b"multipart/digest", b"message/rfc822", b"Message/RFC822", b"text", b"", b"/", b"text/",
    b"/plain", b"text plain", b"text/plain x", b"(c)text(c)/(c)plain(c)", b"multipart", b"multipart/",
    b"text/plain (unclosed", b"multipart/mixed(", b"message/rfc822;", b"message/global", b"text/pl\x00ain",
    b"te\xe4xt/pl\xe4in", b'text/"plain"', b"a/b/c", b"message/external-body", b"text/plain;;",
)  # fmt: skip

PARAMETERS = (
    b"charset=utf-8", b'CHARSET="x"', b"format=flowed", b'name="a b"', b"name=a b", b'name="un', b"name=plain",
    b"name*=utf-8''a%20%C3%A4", b"name*0=a", b"name*1=b", b"name*2=c", b"NAME*0=z", b"name*3*=%20gap",
    b"name*0*=iso-8859-1'en'%E4", b"name*1*=%20x", b"filename*0*=utf-8''%E2%82;filename*1*=%AC",
    b"boundary*0=a;boundary*1=b", b"boundary*=us-ascii''a", b"k*0*=us-ascii'x'a'b;k*1=%41;k*2*=%42",
    b"a*b=c", b"x**=1", b"x*1x=2", b"x*=y", b"x*01=3", b"x*4294967296=1", b"x*4294967295=1", b"type*=x''%41",
    b"type*=''%41", b"type*=utf-8''%FF", b"type*=koi8-r''%C1", b"type*='", b"type*='' %zz", b"type*=utf-16''%00A",
    b'q="a\\"b\\\\c\\d"', b'q="a\\', b"=v", b"k=", b"k", b";", b"k==?utf-8?q?a_b?=", b'k="\x00"', b'k="\xe4"',
    b'k="\xc3\xa4"', b"k=(c)v(c)", b"k = v", b'k="a\n b"', b'k="""""""""', b'k="\\"\\"\\"\\"\\"\\""', b"k=\xe4",
    b"k=" + b"v" * 300, b"charset=", b'charset=""', b"k='v'", b"k=v/w", b"k=v@w", b"k=<v>", b'k="v"w', b"k=v\x7f",
)  # fmt: skip

ENCODINGS = (
    b"7bit", b"8bit", b"binary", b"base64", b"BASE64", b"quoted-printable", b"Quoted-Printable", b"x-foo", b"",
    b"base64;x", b"base64 x", b"(c)base64(c)", b"base64(", b'"base64"', b"base64\n ", b"\n base64", b" base64 ",
    b"base64;", b"7bit (foo)", b"quoted-printable\x00", b"base\n 64", b"uuencode", b"x-uuencode", b"7-bit",
)  # fmt: skip

ADDRESSES = (
    b"a@b.c", b"<a@b.c>", b"N <a@b.c>", b'"Q N" <a@b.c>', b"a", b"a b", b"a b c@d", b"a@", b"@b", b"<>", b"<a>",
    b"<@r,@s:a@b>", b"<@r a@b>", b"<@r:", b"g: a@b, c;", b"g:;", b"g: a", b"g: a, ;x", b"(c) a@b (d e)",
    b"a@b (x\n y)", b"a@[1.2.3.4]", b"a@[1 \\] x]", b"a@[x[y]", b'"a b"@c', b'"a', b'"a"', b"a..b@c", b".a@b",
    b"a.@b", b"a@b..c", b"a@b.", b"a@b . c", b"a . b @ c", b"<a@b", b"N <a b@c>", b"N <a@b> x",
    b"\xe4 <\xe4@\xe4.de>", b"\xc3\xa4@\xc3\xa4.de", b"a@B.C", b"a@xn--4ca.de", b"=?utf-8?q?x?= <a@b>",
    b"a\x00b@c", b'"a\x00b" <c@d>', b"(a\x00b) c@d", b"(un c@d", b"(a(b)c) d@e", b"(a\\)b) c@d", b",", b",,",
    b"a@b,", b"a@b,,c@d", b"g: h: a@b;;", b"g g2: <a@b>; c@d", b'"\\"\\"\\"\\"\\"x" <a@b>', b"  ",
    b"A  B\tC <a@b>", b'" A " <a@b>', b"a\\b@c", b"a;b@c", b"<a@b>(c)", b"N(c) <a@b>", b"a@b c", b'"x"y@z',
    b"a@(c)b", b"<a@b>,", b":", b";", b"<", b">", b"a:b", b"undisclosed-recipients:;", b"a@b\n ,c@d",
    b"N. O. Body <n@b>", b"<a@b><c@d>", b"@r:a@b",
)  # fmt: skip

TEXTS = (
    b"hello", b"", b" ", b"a\n b", b"a\n\tb", b"  a   b ", b'"q"', b"\\", b"\xe4", b"\xc3\xa4", b"a\x00b",
    b"a\r b", b"x" * 100, b'""""""', b"a\n ", b"\n a", b"\n \n b", b"\t", b"=?utf-8?q?=C3=A4?=", b"a\tb", b"a ",
    b"a\x0bb", b"\x7f", b"a\rb", b"<x@y>", b"(c)", b"Mon, 2 Mar 2026 10:00:00 +0100",
)  # fmt: skip

LANGUAGES = (
    b"en", b"en, de", b"en,", b",en", b"en de", b"(c)en(d), de", b'"en"', b"en,(", b"", b"e\xe4", b"en,,de",
    b"en;de",
)  # fmt: skip

DISPOSITIONS = (
    b"attachment", b"inline", b"", b"attachment; filename=a", b'"attachment"', b"attachment x", b"(c)inline",
    b"inline; filename*=utf-8''%C3%A4; size=3", b"; filename=b", b"inline;", b"inline; x",
    b"attachment; filename*1=b",
)  # fmt: skip

#: Header fields with a vocabulary of their own, in the order in which Dovecot's envelope names them.
ADDRESS_FIELDS = (b"From", b"To", b"Cc", b"Bcc", b"Sender", b"Reply-To")
TEXT_FIELDS = (b"Subject", b"Date", b"Message-ID", b"In-Reply-To")
PART_FIELDS = (
    (b"Content-ID", TEXTS), (b"Content-Description", TEXTS), (b"Content-MD5", TEXTS), (b"Content-Location", TEXTS),
    (b"Content-Language", LANGUAGES), (b"Content-Disposition", DISPOSITIONS), (b"X-Foo", TEXTS),
)  # fmt: skip

SEPARATORS = (b": ",) * 24 + (
    b":", b":", b":", b" : ", b" : ", b":\t  ", b":\n ", b" :", b"\x00: ", b" ", b"", b":\n \n ",
)  # fmt: skip

#: Lines that are no header field, or hardly one.
ODD_LINES = (
    b"colonless\n", b" leading\n", b":\n", b": v\n", b"Subject\n", b"Content-Type\n",
    b"Content-Transfer-Encoding\n", b"x" * 1001 + b": y\n", b"\n", b"a\x00: b\n", b"--nob\n", b"From \n",
    b"From a@b Mon Mar  2 10:00:00 2026\n", b"\r: x\n", b"X-Cr: a\rb\n", b"--a\n", b"--foo--\n",
)  # fmt: skip

TEXT_BITS = (
    b"hello", b" ", b"\n", b"\n", b"\t", b"\x00", b"\xe4", b"--", b"=", b"\r\n", b"\r", b"x" * 20, b"--a\n",
    b"foo\n", b".\n", b"From x\n", b"\r\r\n", b"\n\r",
)  # fmt: skip

BASE64_BITS = (
    b"", b"\n", b" ", b"QQ==", b"QQ=", b"Q", b"QQ", b"QQ==\nQQ==", b"QUI=", b"QUI= x", b"QR==", b"====", b"QQ= =",
    b"QUJD", b"QUJD=", b"-_-_", b"QU\nJD", b"QUJD\x00", b"\r\n", b"QUJD\r",
)  # fmt: skip

QUOTED_PRINTABLE_BITS = (
    b"=", b"=4", b"=41", b"=3d", b"=\n", b"= \n", b"=\t\r\n", b" \n", b"\t\n", b"\n", b"\r\n", b"\r", b"x", b" ",
    b" " * 75, b" " * 76, b" " * 77, b"abc", b"=zz", b"==", b"\x00", b"\xe4", b"=00", b"=0A", b"=0d=0a", b"x" * 77,
)  # fmt: skip

AROUND_PARTS = (b"preamble\n", b"\n", b"pre\x00amble\n", b"--\n", b"-- x\n", b"epi", b" --a\n")

#: What a mutation puts into a finished message.
INSERTS = (
    b"\n", b"\r", b"\r\n", b"\x00", b"--", b":", b" ", b'"', b"(", b")", b";", b"\n\n", b"=", b"\\", b"\n ",
    b"\xff",
)  # fmt: skip

#: Fields for lines that are too long, and what such a header can stand in.
LONG_NAMES = (
    b"Subject", b"To", b"X-Long", b"Content-Type", b"Content-Description", b"Content-ID", b"Content-Location",
    b"Content-Transfer-Encoding", b"Content-Disposition", b"Message-ID", b"Date", b"x" * 1100,
)  # fmt: skip
AROUND_LONG_LINES = (
    b"", b"", b"Content-Type: message/rfc822\n\n", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n",
)  # fmt: skip
