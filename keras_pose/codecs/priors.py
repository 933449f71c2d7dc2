"""Prior points: the cells of a one-stage network's maps, each of which may answer for one person.

Maps are flattened level by level, fine to coarse, and row by row inside a level.
"""

from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_pose.codecs.decoding import rows_at


def prior_points(shapes: Sequence, strides: Sequence[int], centred: bool = False):
    """Where the cells of all levels lie in the input.

    Args:
        shapes: (height, width) of each level's map, ints, or tensors where a compiled step does not
            know them.
        strides: ints, input pixels per cell of each level.
        centred: bool, the middle of a cell, `(i + 0.5) * stride - 0.5`, as RTMO has it; default its
            upper left corner, `i * stride`, as YOLOX has it.

    Returns:
        `(P, 3)` float32 tensor: x, y, stride in input pixels.

    Raises:
        ValueError: there are not as many strides as levels.
    """
    shapes = list(shapes)
    if len(shapes) != len(strides):
        raise ValueError(f"there are {len(shapes)} levels of maps for the strides {list(strides)}")
    if all(isinstance(side, int) for shape in shapes for side in shape):
        levels = [
            _level(np, *shape, stride, centred)
            for shape, stride in zip(shapes, strides, strict=True)
        ]
        return ops.convert_to_tensor(np.concatenate(levels).astype("float32"))
    levels = [
        _level(ops, *shape, stride, centred) for shape, stride in zip(shapes, strides, strict=True)
    ]
    return ops.concatenate(levels, axis=0)


def _level(module, height, width, stride, centred):
    """`prior_points` of one level, by NumPy or by `keras.ops`."""
    shift = (stride - 1) / 2 if centred else 0.0
    x, y = (module.arange(side, dtype="float32") * stride + shift for side in (width, height))
    y, x = module.meshgrid(y, x, indexing="ij")
    x, y = (module.reshape(each, (-1,)) for each in (x, y))
    return module.stack([x, y, module.full_like(x, float(stride))], axis=-1)


def flattened(maps: Sequence):
    """Maps `(B, h, w, C)` of all levels, fine to coarse, as one tensor `(B, P, C)` float32."""
    rows = [ops.reshape(ops.cast(each, "float32"), (-1, *_cells(each))) for each in maps]
    return ops.concatenate(rows, axis=1)


def _cells(each):
    height, width, channels = ops.shape(each)[1:]
    return height * width, channels


def decode_boxes(deltas, priors):
    """Boxes from what YOLOX's networks say of them (https://arxiv.org/abs/2107.08430).

    Args:
        deltas: `(B, P, 4)`, the centre's x and y beside the prior point, in strides, and the
            logarithms of width and height in strides.
        priors: `(P, 3)` or `(B, P, 3)`, see `prior_points`.

    Returns:
        `(B, P, 4)` xyxy in input pixels.
    """
    stride = priors[..., 2:]
    centre = priors[..., :2] + deltas[..., :2] * stride
    half = ops.exp(deltas[..., 2:]) * stride * 0.5
    return ops.concatenate([centre - half, centre + half], axis=-1)


def encode_boxes(boxes, priors):
    """What `decode_boxes` would make boxes `(B, P, 4)` xyxy of; sizes are at least 1e-8 strides."""
    stride = priors[..., 2:]
    centre = (boxes[..., :2] + boxes[..., 2:]) * 0.5
    size = (boxes[..., 2:] - boxes[..., :2]) / stride
    return ops.concatenate([(centre - priors[..., :2]) / stride, ops.log(size + 1e-8)], axis=-1)


def decode_offsets(offsets, priors):
    """Keypoints from their distances to the prior points.

    Args:
        offsets: `(B, P, 2K)` in strides, x and y of each keypoint.
        priors: `(P, 3)` or `(B, P, 3)`, see `prior_points`.

    Returns:
        `(B, P, K, 2)` in input pixels.
    """
    pairs = ops.reshape(offsets, (-1, ops.shape(offsets)[1], offsets.shape[-1] // 2, 2))
    return priors[..., None, :2] + pairs * priors[..., None, 2:]


def input_extent(priors):
    """Width and height `(B, 1, 2)` of the input whose prior points are `(B, P, 3)`."""
    stride = priors[..., 2:]
    ends = (ops.floor(priors[..., :2] / stride) + 1.0) * stride
    return ops.max(ends, axis=1, keepdims=True)


def clip_to_input(boxes, priors):
    """Boxes `(B, S, 4)` xyxy cut at the input's borders; priors `(B, P, 3)`."""
    extent = input_extent(priors)
    limit = ops.concatenate([extent, extent], axis=-1)
    return ops.minimum(ops.maximum(boxes, 0.0), limit)


def chosen(outputs: dict, names: Sequence[str], index) -> dict:
    """The rows at `index` `(B, S)` of some of the outputs `(B, P, C)`: each `(B, S, C)`."""
    return {name: rows_at(outputs[name], index) for name in names}
