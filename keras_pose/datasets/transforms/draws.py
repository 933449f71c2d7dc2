"""Random numbers as a pure function of (seed, epoch, row, which draw), for many rows at once.

Nothing is drawn in order: a row gets the same numbers whoever asks, in whatever batch, beside
whatever other rows. Every number is one step of SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014), whose start is mixed of seed, epoch, row and the
draw's name.
"""

import math
import zlib

import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)


def _mixed(x: np.ndarray) -> np.ndarray:
    """The output function of SplitMix64, uint64 to uint64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _chained(state: np.ndarray, number) -> np.ndarray:
    number = np.atleast_1d(number).astype(np.uint64)  # NumPy warns when scalars overflow
    return _mixed(state + (number + np.uint64(1)) * _STEP)


class Draws:
    """The random numbers of some rows in an epoch.

    Args:
        seed: int, not negative.
        epoch: int, not negative.
        rows: ints `(N,)`, rows of the data set (or whatever else has its own numbers).

    Example:
        >>> draws = Draws(seed=0, epoch=3, rows=[5, 8])
        >>> flipped = draws.uniform("flip") < 0.5  # (2,)
        >>> shift = draws.truncated_normal("shift", 2)  # (2, 2)
    """

    def __init__(self, seed: int, epoch: int, rows):
        rows = np.asarray(rows, np.int64).reshape(-1)
        self._states = _chained(_chained(_chained(np.uint64(0), seed), epoch), rows)

    def __len__(self) -> int:
        return len(self._states)

    def uniform(self, name: str, size: int | tuple[int, ...] = ()) -> np.ndarray:
        """Draws `(N, *size)` between 0 and 1 (without 1), float64.

        Args:
            name: str, which draw: another name gives other, independent numbers.
            size: int or tuple, shape of a row's draw. Default: one number.
        """
        return (self._bits(name, size) >> np.uint64(11)) * 2.0**-53

    def truncated_normal(self, name: str, size: int | tuple[int, ...] = ()) -> np.ndarray:
        """Draws `(N, *size)` of a standard normal distribution, given that they are in -1..1."""
        return to_truncated_normal(self.uniform(name, size))

    def integers(self, name: str, high: int, size: int | tuple[int, ...] = ()) -> np.ndarray:
        """Draws `(N, *size)` of 0, 1, ... `high` - 1, int64."""
        return (self.uniform(name, size) * high).astype(np.int64)

    def generator(self, name: str, position: int) -> np.random.Generator:
        """NumPy's generator for the row at a position of `rows`, where a transform needs one."""
        start = _chained(self._states[position : position + 1], zlib.crc32(name.encode()))
        return np.random.Generator(np.random.PCG64(int(start[0])))

    def _bits(self, name: str, size: int | tuple[int, ...]) -> np.ndarray:
        size = (size,) if isinstance(size, int) else tuple(size)
        states = _chained(self._states, zlib.crc32(name.encode()))
        steps = np.arange(math.prod(size), dtype=np.uint64)
        return _chained(states[:, None], steps).reshape(len(self), *size)


def to_truncated_normal(uniform: np.ndarray) -> np.ndarray:
    """Makes uniform draws in 0..1 those of a standard normal distribution within -1..1."""
    return np.interp(uniform, _TRUNCATED_CDF, _TRUNCATED)


# The distribution function of the truncated normal; between its knots, lines are off by 3e-8.
_TRUNCATED = np.linspace(-1, 1, 4097)
_TRUNCATED_CDF = np.array([math.erf(x / math.sqrt(2)) for x in _TRUNCATED])
_TRUNCATED_CDF = (1 + _TRUNCATED_CDF / _TRUNCATED_CDF[-1]) / 2
