"""Merging the outputs of one image at several sizes, as bottom-up tests at several scales do."""

from keras import ops

from keras_pose.layers import resize


def merge_scales(maps, size=None, concatenate: bool = False, align_corners: bool = False):
    """Maps of several sizes as one: their mean, or side by side.

    Associative embedding averages heatmaps and puts tags side by side
    (https://arxiv.org/abs/1611.05424).

    Args:
        maps: list of maps `(B, h, w, C)`, each of its own height and width.
        size: (width, height) in pixels that all are resized to. Default: that of the first.
        concatenate: bool, put channels side by side instead of averaging.
        align_corners: bool, see `resize`.

    Returns:
        Maps `(B, height, width, C)`, or with the channels of all of them.
    """
    if not maps:
        raise ValueError("maps must be a list with at least one tensor (B, h, w, C), got none")
    shape = tuple(maps[0].shape[1:3]) if size is None else (size[1], size[0])
    maps = [resize(one, shape, align_corners=align_corners) for one in maps]
    if concatenate:
        return ops.concatenate(maps, axis=-1)
    return sum(maps[1:], maps[0]) / len(maps)
