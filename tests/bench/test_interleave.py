from collections.abc import Callable

from bench.interleave import FEWEST, interleave


def samplers(order: list[str], *names: str) -> dict[str, Callable[[], float]]:
    def sampler(name: str) -> Callable[[], float]:
        def sample() -> float:
            order.append(name)
            return float(len(order))

        return sample

    return {name: sampler(name) for name in names}


def test_sides_take_turns_and_the_order_turns_round() -> None:
    order: list[str] = []
    samples = interleave(samplers(order, "A", "B"), 3, 60, (OSError,))
    assert "".join(order) == "ABBAAB"
    assert samples.taken == {"A": [1.0, 4.0, 5.0], "B": [2.0, 3.0, 6.0]}


def test_a_row_out_of_time_still_has_a_few_samples() -> None:
    order: list[str] = []
    samples = interleave(samplers(order, "A", "B"), 1000, 0, (OSError,))
    assert len(samples.taken["A"]) == len(samples.taken["B"]) == FEWEST


def test_a_side_that_fails_is_out_and_the_other_goes_on() -> None:
    order: list[str] = []
    sides = samplers(order, "A", "B")

    def fail() -> float:
        raise TimeoutError("no answer")

    sides["B"] = fail
    samples = interleave(sides, 4, 60, (OSError,))
    assert len(samples.taken["A"]) == 4
    assert samples.failed == {"B": "TimeoutError: no answer"}
    assert "B" not in samples.taken
