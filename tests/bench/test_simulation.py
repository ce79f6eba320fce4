"""The simulation of a site: what must hold whatever was measured, and the picture."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.scaling import LOADS, outcomes_of, report
from bench.simulation import IDLE_SECONDS, Figures, Site, picture, simulate

FIGURES = Figures(0.010, 0.005, 0.001, 0.001, 9e6, 1e6, 50.0)
SITE = Site(sessions=200, backends=4, friends=3, seconds=20.0)


def test_an_idle_site_waits_for_nobody() -> None:
    found = simulate(FIGURES, SITE, 1.0)
    assert found.median == pytest.approx(0.015)
    assert found.first_share > 0.9
    assert found.busy < 0.01


def test_more_urls_more_waiting_and_at_last_a_line() -> None:
    found = [simulate(replace(FIGURES, repeat_asking=0.01, repeat_home=0.005), SITE, rate) for rate in (50, 700)]
    assert found[0].slowest < found[1].slowest
    assert found[0].busy < found[1].busy <= 1.5
    assert found[1].median > 1, "more is asked for than eight cores can do"


def test_pairs_that_are_asked_for_again_are_repeats() -> None:
    few = replace(SITE, sessions=5, friends=1)
    assert simulate(FIGURES, few, 20.0).first_share < 0.2
    assert simulate(FIGURES, few, 0.5 / IDLE_SECONDS).first_share > 0.3


def test_connections_and_memory_go_together() -> None:
    found = simulate(FIGURES, SITE, 20.0)
    assert 0 < found.connections <= found.most_connections
    assert found.memory == found.connections * 10e6


def test_the_same_site_comes_to_the_same() -> None:
    assert simulate(FIGURES, SITE, 20.0) == simulate(FIGURES, SITE, 20.0)


def test_the_picture_and_the_tables() -> None:
    outcomes = outcomes_of(FIGURES, SITE)
    drawn = ElementTree.fromstring(picture(outcomes, SITE))
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}path"))) == 2
    lines = report(FIGURES, outcomes).splitlines()
    assert "| first URL of a pair of users | 10.00 | 5.00 | ms of CPU |" in lines
    assert sum(" MB |" in line for line in lines) == len(LOADS) + 1
