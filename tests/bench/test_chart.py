from xml.etree import ElementTree

from bench.chart import LEFT, RIGHT, WIDTH, chart
from bench.result import Comparison
from tests.bench.lines import line

SVG = "{http://www.w3.org/2000/svg}"


def bars(lines: list[Comparison]) -> list[ElementTree.Element]:
    drawn = ElementTree.fromstring(chart("Dovecot <1>", lines))
    return [bar for bar in drawn.iter(f"{SVG}rect") if bar.get("height") == "12"]


def test_it_is_well_formed_whatever_the_titles_hold() -> None:
    assert len(bars([line(0.5, 0.3, title="a < b & c"), line(2.0)])) == 2


def test_nothing_measured_is_an_empty_chart() -> None:
    assert bars([]) == []


def test_better_and_worse_lie_on_different_sides_and_have_different_colours() -> None:
    better, worse = bars([line(0.5), line(2.0)])
    assert float(better.attrib["x"]) + float(better.attrib["width"]) == float(worse.attrib["x"])
    assert better.get("fill") != worse.get("fill")


def test_more_fetches_a_second_is_better() -> None:
    faster, cheaper = bars([line(4.0, 3.0, more_is_better=True), line(0.25)])
    assert faster.attrib == cheaper.attrib | {"y": faster.attrib["y"]}


def test_bars_stay_inside() -> None:
    for bar in bars([line(0.0001), line(250.0)]):
        assert float(bar.attrib["x"]) >= LEFT
        assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= WIDTH - RIGHT
