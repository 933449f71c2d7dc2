import math

import numpy as np
import pytest

from keras_pose.datasets.transforms.draws import Draws

MANY = 100_000


def standard_error(values):
    return values.std() / math.sqrt(len(values))


@pytest.mark.parametrize(
    "values",
    [
        Draws(0, 0, range(MANY)).uniform("a"),
        Draws(0, 0, [7]).uniform("a", MANY)[0],
        np.concatenate([Draws(0, epoch, [7]).uniform("a") for epoch in range(5000)]),
        np.concatenate([Draws(seed, 0, [7]).uniform("a") for seed in range(5000)]),
        np.concatenate([Draws(0, 0, [7]).uniform(f"draw {i}") for i in range(5000)]),
    ],
    ids=["rows", "size", "epochs", "seeds", "names"],
)
def test_uniform_along_every_way_of_counting(values):
    n = len(values)
    assert values.min() >= 0 and values.max() < 1
    assert abs(values.mean() - 0.5) < 4 * standard_error(values)
    assert abs(values.var() - 1 / 12) < 4 * standard_error((values - 0.5) ** 2)
    counts = np.histogram(values, 50, (0, 1))[0]
    chi_square = ((counts - n / 50) ** 2 / (n / 50)).sum()
    assert abs(chi_square - 49) < 4 * math.sqrt(2 * 49)
    for lag in (1, 2, 17):  # neighbours know nothing of each other
        products = (values[lag:] - 0.5) * (values[:-lag] - 0.5)
        assert abs(products.mean()) < 4 * standard_error(products)


def test_other_names_epochs_and_seeds_are_independent():
    rows = np.arange(MANY)
    first = Draws(0, 0, rows).uniform("a") - 0.5
    for other in (Draws(0, 0, rows).uniform("b"), Draws(0, 1, rows).uniform("a")):
        products = first * (other - 0.5)
        assert abs(products.mean()) < 4 * standard_error(products)
    # what is added to the seed is not what is added to the epoch or the row
    assert not np.isin(Draws(1, 0, rows).uniform("a"), Draws(0, 1, rows).uniform("a")).any()


def test_truncated_normal_is_conditioned_on_its_range():
    draws = Draws(0, 0, range(MANY)).truncated_normal("x")
    assert np.abs(draws).max() <= 1
    assert abs(draws.mean()) < 4 * standard_error(draws)
    # variance of a standard normal given |x| <= 1: 1 - 2 pdf(1) / (cdf(1) - cdf(-1))
    inside = math.erf(1 / math.sqrt(2))
    variance = 1 - 2 * math.exp(-0.5) / math.sqrt(2 * math.pi) / inside
    assert abs(draws.var() - variance) < 4 * standard_error(draws**2)
    for point in (0.1, 0.5, 0.9):
        share = math.erf(point / math.sqrt(2)) / inside
        found = (np.abs(draws) < point).astype(float)
        assert abs(found.mean() - share) < 4 * standard_error(found)


def test_integers_reach_every_value_alike():
    counts = np.bincount(Draws(0, 0, range(MANY)).integers("x", 7))
    assert len(counts) == 7
    assert np.abs(counts - MANY / 7).max() < 4 * math.sqrt(MANY / 7)


def test_a_row_has_its_numbers_in_every_company():
    together = Draws(3, 2, [4, 9, 1000])
    alone = Draws(3, 2, [9])
    for draw in ("uniform", "truncated_normal"):
        np.testing.assert_array_equal(
            getattr(together, draw)("x", (2, 3))[1], getattr(alone, draw)("x", (2, 3))[0]
        )
    one, same = together.generator("x", 1), alone.generator("x", 0)
    np.testing.assert_array_equal(one.normal(size=5), same.normal(size=5))
    assert together.generator("y", 1).random() != alone.generator("x", 0).random()
    # fewer numbers are the first of more
    np.testing.assert_array_equal(together.uniform("x", 2), together.uniform("x", 5)[:, :2])


def test_numbers_stay_the_same_in_every_version():
    draws = Draws(1, 2, [3, 2**40])
    found = [*draws.uniform("flip"), *draws.truncated_normal("jitter")]
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-12)


EXPECTED = [0.6832253327348194, 0.6264016140506626, 0.19076938220634101, 0.45807059252265203]
