"""The character sets that a MIME parameter can be in: names that iconv and Python's codecs give the same meaning.

A list, because Python has codecs that are no character sets (``rot13``, ``hex``) and takes names that iconv does
not; a message must not be able to choose the ones, and Dovecot leaves the others undecoded.
"""

from __future__ import annotations

_ISO_8859 = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "13", "14", "15", "16")
_WINDOWS = ("1250", "1251", "1252", "1253", "1254", "1255", "1256", "1257", "1258")
_DOS = ("437", "850", "852", "855", "857", "858", "860", "861", "862", "863", "864", "865", "866", "869")
_OTHERS = """
    big5 big5-hkscs big5hkscs cp737 cp775 cp874 cp932 cp936 cp949 cp950 euc-cn euc-jp euc-kr euccn eucjp euckr
    gb18030 gb2312 gbk iso-2022-jp iso-2022-jp-2 iso-2022-kr johab koi8-r koi8-t koi8-u ms_kanji shift-jis
    shift_jis sjis tis-620 tis620 uhc ujis utf-16 utf-16be utf-16le utf-32 utf-32be utf-32le utf-7 utf16 utf32 utf7
    latin1 latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 latin10
"""

_NAMES = frozenset(
    (
        *(prefix + number for number in _ISO_8859 for prefix in ("iso-8859-", "iso8859-")),
        *("iso_8859-" + number for number in _ISO_8859 if number not in ("11", "13")),
        *(prefix + number for number in _WINDOWS for prefix in ("windows-", "cp")),
        *(prefix + number for number in _DOS for prefix in ("cp", "ibm")),
        *_OTHERS.split(),
    )
)

#: Names that only iconv knows, and the codec's own.
_SHORT = {
    **{"iso8859" + number: "iso8859-" + number for number in _ISO_8859},
    **{"utf16be": "utf-16be", "utf16le": "utf-16le", "utf32be": "utf-32be", "utf32le": "utf-32le"},
    **{"koi8r": "koi8-r", "koi8u": "koi8-u"},
}

#: Dovecot takes all of these as UTF-8.
_UTF_8 = frozenset(("us-ascii", "ascii", "utf-8", "utf8"))


def codec_name(charset: bytes) -> str | None:
    """The codec for a character set's name, None for an unknown one."""
    name = charset.decode("latin-1").lower()
    if name in _UTF_8:
        return "utf-8"
    return name if name in _NAMES else _SHORT.get(name)
