"""The parts of a batch that processes make are the batch."""

import numpy as np
import pytest

from keras_pose.datasets.batches import stream_batches
from keras_pose.datasets.shares import share_of_batches


def _batches(rows, batch_size, **settings):
    def make(epoch, chosen):
        images = np.zeros((len(chosen), 4, 4, 3), np.uint8)
        return images, {"row": np.float32(chosen) + 100 * epoch}

    found = stream_batches(
        lambda epoch: np.random.default_rng(epoch).permutation(rows),
        make,
        (4, 4),
        {"row": ((None,), "float32")},
        batch_size,
        **settings,
    )
    return [[labels["row"] for _, labels in found.as_numpy_iterator()] for _ in range(2)]


@pytest.mark.parametrize("count", [2, 3])
def test_parts_together_are_the_batches_of_one_process(count):
    whole = _batches(11, 4, drop_remainder=False)
    parts = []
    for index in range(count):
        with share_of_batches(index, count):
            parts.append(_batches(11, 4, drop_remainder=False))
    for epoch, batches in enumerate(whole):
        for step, batch in enumerate(batches):
            joined = np.concatenate([part[epoch][step] for part in parts])
            np.testing.assert_array_equal(joined, batch)


@pytest.mark.parametrize(("rows", "size", "least"), [(8, 1, 1), (9, 4, 1)])
def test_batches_with_fewer_rows_than_processes(rows, size, least):
    with (
        share_of_batches(0, 2),
        pytest.raises(ValueError, match=f"cannot share a batch of {least}"),
    ):
        _batches(rows, size, drop_remainder=False)
