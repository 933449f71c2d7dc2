import numpy as np
import pytest
from keras import KerasTensor

from keras_pose.layers import channel_shuffle


def test_channels_are_taken_from_each_group_in_turn(compiled):
    x = np.arange(24, dtype="float32").reshape(1, 2, 2, 6)
    shuffled = compiled(lambda x: channel_shuffle(x, 2))(x)
    np.testing.assert_array_equal(shuffled, x[..., [0, 3, 1, 4, 2, 5]])


def test_channels_have_to_fit_the_groups():
    with pytest.raises(ValueError, match="channels must be a multiple of groups 4, got 6"):
        channel_shuffle(KerasTensor((None, 2, 2, 6)), 4)
