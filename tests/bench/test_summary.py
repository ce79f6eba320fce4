import pytest

from bench.summary import Spread, ratio


def test_the_spread_is_median_and_quartiles() -> None:
    assert Spread.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(2.0, 3.0, 4.0)


def test_one_sample_is_its_own_spread() -> None:
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_the_ratio_pairs_neighbours() -> None:
    # the noise of each round strikes both sides and leaves the ratio alone
    assert ratio([2.0, 20.0, 200.0], [1.0, 10.0, 100.0]) == Spread(2.0, 2.0, 2.0)


def test_samples_without_a_neighbour_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="longer"):
        ratio([1.0], [1.0, 2.0])
