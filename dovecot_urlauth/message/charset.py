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

_ALIASES = """
    437 500 850 852 855 857 858 860 861 862 863 864 865 866 869 ansi_x3.4-1968 ansi_x3.4-1986 arabic
    asmo-708 cp-gr cp037 cp1125 cp1140 cp367 cp500 cp819 csascii csibm037 csibm500 csibm855 csibm857
    csibm860 csibm863 csibm864 csibm865 csibm866 csibm869 csiso2022jp csiso2022kr csisolatin1 csisolatin2
    csisolatin3 csisolatin4 csisolatin5 csisolatin6 csisolatinarabic csisolatincyrillic csisolatingreek
    csisolatinhebrew cskoi8r cspc775baltic cspc850multilingual cspc862latinhebrew cspc8codepage437 cspcp852
    csshiftjis cyrillic ebcdic-cp-be ebcdic-cp-ca ebcdic-cp-ch ebcdic-cp-nl ebcdic-cp-us ebcdic-cp-wt
    ecma-114 ecma-118 elot_928 greek greek8 hebrew hp-roman8 ibm037 ibm1140 ibm367 ibm500 ibm775 ibm819
    iso-celtic iso-ir-100 iso-ir-101 iso-ir-109 iso-ir-110 iso-ir-126 iso-ir-127 iso-ir-138 iso-ir-144
    iso-ir-148 iso-ir-157 iso-ir-199 iso-ir-226 iso-ir-6 iso2022jp iso2022kr iso646-us iso_646.irv:1991
    iso_8859-10:1992 iso_8859-14:1998 iso_8859-16:2001 iso_8859-1:1987 iso_8859-2:1987 iso_8859-3:1988
    iso_8859-4:1988 iso_8859-5:1988 iso_8859-6:1987 iso_8859-7:1987 iso_8859-8:1988 iso_8859-9:1989 l1 l10
    l2 l3 l4 l5 l6 l7 l8 ms932 ms936 pt154 r8 rk1048 roman8 ruscii strk1048-2002 us
"""
"""Further names, each of which iconv and Python's codecs decode to the same, byte for byte."""

_NAMES = frozenset(
    (
        *(prefix + number for number in _ISO_8859 for prefix in ("iso-8859-", "iso8859-")),
        *("iso_8859-" + number for number in _ISO_8859 if number not in ("11", "13")),
        *(prefix + number for number in _WINDOWS for prefix in ("windows-", "cp")),
        *(prefix + number for number in _DOS for prefix in ("cp", "ibm")),
        *_OTHERS.split(),
        *_ALIASES.split(),
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

#: What iconv passes over in a name (iconv/gconv_charset.h); a slash means something else.
_COUNTS = "_-.,:/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PASSED_OVER = bytes(byte for byte in range(256) if chr(byte) not in _COUNTS)


def codec_name(charset: bytes) -> str | None:
    """The codec for a character set's name, None for an unknown one."""
    name = charset.translate(None, _PASSED_OVER).decode("ascii").lower()
    if name in _UTF_8:
        return "utf-8"
    return name if name in _NAMES else _SHORT.get(name)
