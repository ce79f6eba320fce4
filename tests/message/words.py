"""The texts that generated messages are made of: usual ones, and ones that lead into the corners of a parser."""

from __future__ import annotations

BOUNDARIES = [
    b"a", b"ab", b"abc", b"a-", b"a--", b"A", b"--", b"-", b"b b", b"=_1", b"", b"x" * 80, b"x" * 85,
]  # fmt: skip

TYPES = [
    b"text/plain", b"TEXT/Plain", b"text/html", b"text", b"text plain", b"text/", b"text/plain x",
    b"text/plain (x", b"(c)text(c)/(c)plain(c)", b"te\xe4xt/pl\xe4in", b"text/pl\0ain", b'text/"plain"',
    b"", b"/", b"/plain", b"application/octet-stream", b"image/x", b"a/b/c", b"message/partial",
    b"message/rfc822", b"Message/RFC822", b"multipart", b"multipart/", b"multipart/mixed",
    b"multipart/mixed(",
]  # fmt: skip

MULTIPARTS = [
    b"multipart/mixed", b"multipart/digest", b"multipart/alternative", b"MULTIPART/Mixed", b"multipart/x",
]  # fmt: skip

PARAMETERS = [
    b"charset=utf-8", b"charset=US-ASCII", b'CHARSET="x"', b'name="a b"', b"name=a b", b'name="un', b"k",
    b"k=", b"=v", b";", b"k = v", b"k=(c)v(c)", b'k="a\n b"', b'k="\0"', b'k="\xe4"', b'k="\\"a\\\\b\\c"',
    b'q="a\\', b'k="""""""""', b'k="\\"\\"\\"\\"\\"\\""', b"k==?utf-8?q?a_b?=", b"name*=utf-8''a%20%C3%A4",
    b"name*0=a", b"name*1=b", b"NAME*0=z", b"name*2=c", b"name*0*=iso-8859-1'en'%E4", b"name*1*=%20x",
    b"a*b=c", b"x**=1", b"x*1x=2", b"x*01=3", b"t*='", b"x*4294967296=1", b"t*=''%41", b"t*='' %zz",
    b"t*=utf-8''%FF", b"t*=koi8-r''%C1", b"t*=usascii''%41", b"f*0*=utf-8''%E2%82;f*1*=%AC",
    b"boundary*0=a;boundary*1=b", b"k*0*=us-ascii'x'a'b;k*1=%41;k*2*=%42",
]  # fmt: skip

ENCODINGS = [
    b"base64", b"quoted-printable", b"7bit", b"8bit", b"binary", b"BASE64", b"Quoted-Printable", b"x-foo",
    b"", b"base64;x", b"base64 x", b"(c)base64(c)", b"base64(", b'"base64"', b"base64\n ", b"\n base64",
    b"base64;",
]  # fmt: skip

ADDRESSES = [
    b"a@b.c", b"<a@b.c>", b"N <a@b.c>", b'"Q N" <a@b.c>', b"a", b"a b", b"a b c@d", b"a@", b"@b", b"<>",
    b"<a>", b"a;b@c", b"<@r,@s:a@b>", b"<@r a@b>", b"<@r:", b"g: a@b, c;", b"g:;", b"g: a", b"g: a, ;x",
    b"g: h: a@b;;", b"(c) a@b (d e)", b"a@b (x\n y)", b"a@[1.2.3.4]", b"a@[1 \\] x]", b"a@[x[y]",
    b'"a b"@c', b'"a', b'"a"', b"a..b@c", b".a@b", b"a@b..c", b"a@b.", b"a@b . c", b"a . b @ c", b"<a@b",
    b"N <a b@c>", b"N <a@b> x", b"\xe4 <\xe4@\xe4.de>", b"a@\xc3\x84.DE", b"a@B.C", b"a@xn--4ca.de",
    b"a\0b@c", b'"a\0b" <c@d>', b"(a\0b) c@d", b"(un c@d", b"(a(b)c) d@e", b"(a\\)b) c@d", b",", b",,",
    b"a@b,", b"a@b,,c@d", b'"\\"\\"\\"\\"\\"x" <a@b>', b"  ", b"A  B\tC <a@b>", b'" A " <a@b>', b"a@(c)b",
    b"a\\b@c", b"N(c) <a@b>", b'"x"y@z', b":", b";", b"<", b">", b"a:b", b"undisclosed-recipients:;",
]  # fmt: skip

TEXTS = [
    b"hello", b"", b" ", b"a\n b", b"a\n\tb", b"  a   b ", b'"q"', b"\\", b"\xe4", b"\xc3\xa4", b"a\0b",
    b"a\r b", b"x" * 100, b'""""""', b"a\n ", b"\n a", b"\n \n b", b"\t", b"a\tb", b"a ", b"a\x0bb",
    b"=?utf-8?q?=C3=A4?=",
]  # fmt: skip

LANGUAGES = [b"en", b"en, de", b"en,", b",en", b"en de", b"(c)en(d), de", b'"en"', b"en,(", b"", b"e\xe4"]

DISPOSITIONS = [
    b"attachment", b"inline", b"", b"attachment; filename=a", b'"attachment"', b"attachment x",
    b"(c)inline", b"inline; filename*=utf-8''%C3%A4; size=3", b"; filename=b", b"inline;", b"inline; x",
]  # fmt: skip

ODD_LINES = [
    b"colonless", b" leading", b":", b": v", b"Subject", b"Content-Type", b"Content-Transfer-Encoding",
    b"--nob", b"x" * 1001 + b": y", b"\r", b"a\0: b", b"From x", b"Subject\0: z",
]  # fmt: skip

BODIES = [
    b"hello", b" ", b"\n", b"\n", b"\t", b"\0", b"\xe4", b"--", b"=", b"\r\n", b"\r", b"x" * 20, b"--a\n",
]  # fmt: skip

BROKEN_BASE64 = [
    b"", b"\n", b"QQ==", b"QQ=", b"Q", b"QQ", b"QQ==\nQQ==", b"QUI=", b"QUI= x", b"QR==", b"====", b"QQ= =",
    b"QUJD=", b"-_-_",
]  # fmt: skip

QUOTED_PRINTABLE = [
    b"=", b"=4", b"=41", b"=3d", b"=\n", b"= \n", b"=\t\r\n", b" \n", b"\t\n", b"\n", b"\r\n", b"\r", b"x",
    b" ", b" " * 76, b" " * 77, b"abc", b"=zz", b"==", b"\0", b"\xe4", b"=00", b"=0A", b"=0d=0a",
]  # fmt: skip

INSERTIONS = [b"\n", b"\r", b"\0", b"--", b":", b" ", b'"', b"(", b";", b"\n\n", b"=", b"\\"]
