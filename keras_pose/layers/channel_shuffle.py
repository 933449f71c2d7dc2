"""Channels of groups in turns."""

from keras import ops


def channel_shuffle(x, groups: int):
    """Maps `(B, H, W, C)` whose channels are taken from each group in turn.

    Of `groups` equal runs of channels the first ones come first, then the second ones, and so on
    (Zhang et al., 2017, https://arxiv.org/abs/1707.01083).

    Raises:
        ValueError: if the channels cannot be split into that many groups.
    """
    _, height, width, channels = x.shape
    if channels % groups:
        raise ValueError(f"channels must be a multiple of groups {groups}, got {channels}")
    x = ops.reshape(x, (-1, height, width, groups, channels // groups))
    return ops.reshape(ops.transpose(x, (0, 1, 2, 4, 3)), (-1, height, width, channels))
