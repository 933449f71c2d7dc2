"""Channels to pixels, without arithmetic."""

from keras import ops


def pixel_shuffle(x, factor: int = 2):
    """Maps `(B, H, W, C * factor**2)` enlarged to `(B, H * factor, W * factor, C)`.

    As in PyTorch the channels of one output channel follow each other, row by row of the pixels
    that they become (Shi et al., 2016, https://arxiv.org/abs/1609.05158).

    Raises:
        ValueError: if the channels are no multiple of `factor**2`.
    """
    _, height, width, channels = x.shape
    if channels % factor**2:
        raise ValueError(f"channels must be a multiple of {factor**2}, got {channels}")
    channels //= factor**2
    x = ops.reshape(x, (-1, height, width, channels, factor, factor))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
    return ops.reshape(x, (-1, height * factor, width * factor, channels))
