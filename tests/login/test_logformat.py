"""login_log_format_elements, each answer as the stock imap-urlauth-login of that version was seen to write it."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.dialect.dialect import Dialect, ElementRules
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_13, DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2
from dovecot_urlauth.login.logformat import LogFormat

V2_3, V2_4_1, V2_4_5 = ElementRules.SHOWS_UNKNOWN, ElementRules.DROPS_UNKNOWN, ElementRules.EMPTIES_UNKNOWN
NOBODY = {"secured": "secured", "session": "SYEGlDVhyIR/AAAB"}
BOB = {**NOBODY, "user": "bob", "mechanism": "DOVECOT-TOKEN"}
AT_HOME = {**BOB, "user": "Bob@Home.example"}
PID = os.getpid()


def shown(elements: str, values: dict[str, str], rules: ElementRules) -> str:
    return LogFormat("%$: %s" if rules is V2_3 else "%{message}: %{elements}", elements, rules).line("x", values)


FILTERED = "x=%{user|foo} y=%{protocol|upper}%{mechanism|default('none')} z=%{home|default('h')}"
MIXED = "a %{secured|upper} %{user}%{secured} l=%{mechanism}%{foo} %%{user}"
S = "SYEGlDVhyIR/AAAB"
ANSWERS = [
    (V2_3, "u=<%u> n=<%n> d=<%d> s=<%s> h=<%h> end", NOBODY, "u=<>, n=<>, s=<imap-urlauth>"),
    (V2_3, "a=%a b=%b r=<%{real_rip}> l=%{real_lport} %{remote_port} k=%k", NOBODY, "a=0, b=0, l=0, 0"),
    (V2_3, "p=<%p> %{pid} x=%Xp", NOBODY, f"p=<{PID}>, {PID}, x={PID:x}"),
    (V2_3, "%Uu|%5u|%Mu|%-3u", NOBODY, "||d41d8cd98f00b204e9800998ecf8427e|"),
    (V2_3, "c2=<%Uu> %{session}%% a=%Ls %U{session}", BOB, f"c2=<BOB>, {S}%, a=imap-urlauth, {S.upper()}"),
    (V2_3, "d6=<%Mu> %2Tu %1.2u %Ru", BOB, "d6=<9f9d51bc70ef21ca5c14f307980a29d8>, bo, ob, bob"),
    (V2_3, "%n %d %{auth_user} %{orig_username} %{username} %Ld", AT_HOME,
     "Bob, Home.example, Bob@Home.example, Bob, Bob, home.example"),
    (V2_3, "b9=<%{foo}> c1=<%z> b=%{session} y=%z", NOBODY, "b=SYEGlDVhyIR/AAAB"),
    (V2_3, "x=<%{foo}>/%u b=%{session}", BOB, "x=<UNSUPPORTED_VARIABLE_foo>/bob, b=SYEGlDVhyIR/AAAB"),
    (V2_3, "%{user|upper}/%u %{listener} m=%{mech}/%m", BOB,
     "UNSUPPORTED_VARIABLE_user|upper/bob, imap-urlauth, m=DOVECOT-TOKEN/DOVECOT-TOKEN"),
    (V2_3, "%Ru %2Tu %{session}", NOBODY, "SYEGlDVhyIR/AAAB"),
    (V2_3, "%{user}x %Eu", NOBODY, ""),
    (V2_3, "%--u %1.2.3u", BOB, "bob, bob"),
    (V2_4_5, "%{user %{user", BOB, "%{user %{user"),
    (V2_4_1, MIXED, NOBODY, "SECURED, secured, "),
    (V2_4_1, "x=<%{foo}>/%{user}", BOB, ""),
    (V2_4_5, MIXED, NOBODY, "a, SECURED, secured, %{user}"),
    (V2_4_5, "x=<%{foo}>/%{user}", NOBODY, "x=<>/"),
    (V2_4_1, FILTERED, NOBODY, "y=IMAP-URLAUTHnone, "),
    (V2_4_5, FILTERED, NOBODY, "x=, y=IMAP-URLAUTHnone, "),
    (V2_4_5, "a5=<%{pid}> e3=<%u> e4=100%%", BOB, "e3=<%u>, e4=100%%"),
    (V2_4_5, "a2=<%{user|domain}> b3=<%{original_user}> %{user | domain | lower}", AT_HOME,
     "a2=<Home.example>, b3=<Bob@Home.example>, home.example"),
    (V2_4_5, "a6=<%{local_port}> d5=<%{mechanism|lower}> b4=<%{listener}> end", BOB,
     "a6=<0>, d5=<dovecot-token>, b4=<imap-urlauth>, end"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "elements", "values", "text"), ANSWERS, ids=[elements for _, elements, _, _ in ANSWERS]
)
def test_elements(rules: ElementRules, elements: str, values: dict[str, str], text: str) -> None:
    assert shown(elements, values, rules) == f"x: {text}"


@pytest.mark.parametrize(
    ("rules", "elements", "complaint"),
    [
        (V2_3, "%{session} b8=<%{ja3}> %z", "b8=<%{ja3}>: Unknown variable '%ja3'"),
        (V2_4_1, "%{session} x=<%{foo}>/%{user}", "x=<%{foo}>/%{user}: Unknown variable 'foo'"),
        (V2_4_1, "x=%{user|foo}", "x=%{user|foo}: No such function 'foo'"),
        (V2_4_5, "l=%{mechanism}%{foo}", "%{foo}: Unknown variable 'foo'"),
        (V2_4_5, "x=%{user|foo('a')}", "%{user | foo('a')}: No such function 'foo'"),
    ],
)
def test_what_is_not_understood_is_said_once(rules: ElementRules, elements: str, complaint: str) -> None:
    said: list[str] = []
    log_format = LogFormat("%{message}: %{elements}", elements, rules)
    log_format.line("x", NOBODY)
    log_format.line("x", NOBODY, said.append)
    log_format.line("x", NOBODY, said.append)
    assert said == [f"Failed to expand log_format_elements={complaint}"]


@pytest.mark.parametrize(
    ("dialect", "rules"),
    [(DOVECOT_2_3_13, V2_3), (DOVECOT_2_3_19, V2_3), (DOVECOT_2_4_1, V2_4_1), (DOVECOT_2_4_2, V2_4_5)],
)
def test_each_version_has_its_rules(dialect: Dialect, rules: ElementRules) -> None:
    texts = dialect.login_texts
    assert texts.element_rules is rules
    said: list[str] = []
    line = LogFormat(texts.log_format, texts.log_format_elements, rules).line("x", BOB, said.append)
    assert line == "x: user=<bob>, method=DOVECOT-TOKEN, secured, session=<SYEGlDVhyIR/AAAB>"
    assert said == []


@pytest.mark.parametrize("rules", list(ElementRules))
@given(st.text(st.sampled_from("%{}|.-09UuMnz$s '()\0") | st.characters(), max_size=40))
def test_no_template_fails(rules: ElementRules, template: str) -> None:
    for values in (NOBODY, AT_HOME, {}):
        assert isinstance(LogFormat(template, template, rules).line("x", values), str)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("100%", "100%"),
        ("%{message", "%{message"),
        ("%%x", "%x"),
        ("%$ %s", "x "),
        ("%5$", "x"),
        ("", ""),
    ],
)
def test_odd_formats_of_2_3(template: str, text: str) -> None:
    assert LogFormat(template, "", V2_3).line("x", {}) == text
