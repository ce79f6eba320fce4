"""Options: what is known is taken as getopt does, what is not is refused, and so is what cannot be obeyed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.service.options import parse_options
from dovecot_urlauth.service.run import EXIT_USAGE, Fatal

KNOWN = "a:c:i:kLo:OR:"
LONG = {"store": ("auto", "native"), "sandbox": ("auto",)}


def parse(*arguments: str) -> tuple[Any, ...]:
    return parse_options(SimpleNamespace(arguments=arguments), KNOWN, LONG)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "letter", "values", "rest"),
    [
        ((), "a", (), []),
        (("-ax",), "a", ("x",), []),
        (("-a", "x", "-a", "y", "bob"), "a", ("x", "y"), ["bob"]),
        (("-kLax", "bob"), "a", ("x",), ["bob"]),
        (("-k",), "k", ("yes",), []),
        (("--", "-a"), "a", (), ["-a"]),
        (("-",), "a", (), ["-"]),
        (("--store=native", "x"), "store", ("native",), ["x"]),
    ],
)
def test_taken(arguments: tuple[str, ...], letter: str, values: tuple[str, ...], rest: list[str]) -> None:
    options, remaining = parse(*arguments)
    assert options.all(letter) == values
    assert options.last(letter, "default") == (values[-1] if values else "default")
    assert remaining == rest


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--stroe=dovecot",), "Unknown argument: --stroe=dovecot"),
        (("--a=x",), "Unknown argument: --a=x"),
        (("--store=",), "Unknown argument: --store= (auto, native)"),
        (("--store=natve",), "Unknown argument: --store=natve (auto, native)"),
        (("--store",), "Missing value for argument: --store (write --store=auto|native)"),
        (("-x",), "Unknown argument: -x"),
        (("-:",), "Unknown argument: -:"),
        (("-k", "-a"), "Missing value for argument: -a"),
        (("-o", "mail_debug=yes"), "Argument not supported: -o (write the setting into the configuration"),
        (("-kR", "/tmp"), "Argument not supported: -R (no raw logs are written)"),
        (("-c", "x"), "Argument not supported: -c"),
    ],
)
def test_refused(arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(Fatal) as refused:
        parse(*arguments)
    assert str(refused.value).startswith(text)
    assert refused.value.status == EXIT_USAGE


def test_what_one_service_obeys() -> None:
    start: Any = SimpleNamespace(arguments=("-o", "a=b", "-oc=d", "-R", "/tmp"))
    with pytest.raises(Fatal, match="-R"):
        parse_options(start, "o:R:", {}, obeyed="o")
    start.arguments = start.arguments[:3]
    options, _ = parse_options(start, "o:R:", {}, obeyed="o")
    assert options.all("o") == ("a=b", "c=d")
