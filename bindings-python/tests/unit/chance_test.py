"""The tests that speak of chance are right about it."""

import math

import pytest
from support.chance import ONCE_IN_A_MILLION, chi_squared, could_be_chance


def test_chi_squared_is_what_it_is_by_hand():
    assert chi_squared([20, 20, 20]) == 0
    # 10² / 20 + 0 + 10² / 20
    assert chi_squared([10, 20, 30]) == 10
    assert chi_squared([40, 20, 10], [4, 2, 1]) == 0
    # 6² / 36 + 6² / 12
    assert chi_squared([30, 18], [3, 1]) == 4


def test_every_count_has_a_share():
    with pytest.raises(ValueError, match="zip"):
        chi_squared([1, 2, 3], [1, 1])


def exceeded_by_chance(value, degrees):
    """The regularized upper incomplete gamma function of half the degrees and half the value, by its recurrence."""
    half = value / 2
    order, chance = (1, math.exp(-half)) if degrees % 2 == 0 else (0.5, math.erfc(math.sqrt(half)))
    while order < degrees / 2:
        chance += half**order * math.exp(-half) / math.gamma(order + 1)
        order += 1
    return chance


@pytest.mark.parametrize(("degrees", "value"), enumerate(ONCE_IN_A_MILLION, 1))
def test_the_table_is_of_one_in_a_million(degrees, value):
    assert exceeded_by_chance(value, degrees) == pytest.approx(1e-6, rel=1e-3)


def test_known_quantiles_of_one_in_twenty_agree_with_the_function():
    for degrees, value in ((1, 3.841), (2, 5.991), (10, 18.307), (15, 24.996)):
        assert exceeded_by_chance(value, degrees) == pytest.approx(0.05, rel=1e-3)


def test_what_is_likely_could_be_chance_and_what_is_not_could_not():
    assert could_be_chance([225, 240, 210, 225])
    assert not could_be_chance([300, 200, 200, 200])
    assert could_be_chance([300, 200, 200, 200], [3, 2, 2, 2])
    assert not could_be_chance([900, 0])
