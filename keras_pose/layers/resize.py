"""Enlarging feature maps."""

from keras import ops


def upsample(x, factor: int = 2, interpolation: str = "bilinear"):
    """Enlarges maps `(B, H, W, C)` by a whole factor.

    Args:
        interpolation: "bilinear" (half-pixel centres, edges clamped: PyTorch's
            `align_corners=False`), "nearest", or "bilinear_legacy" for factor 2 (TensorFlow 1's
            sampling without half-pixel centres: even outputs copy, odd ones average a pixel and
            its successor).
    """
    height, width = x.shape[1] * factor, x.shape[2] * factor
    if interpolation == "bilinear_legacy":
        if factor != 2:
            raise ValueError(f"bilinear_legacy enlarges by 2, got factor {factor}")
        return _double_legacy(_double_legacy(x, axis=1), axis=2)
    return ops.image.resize(
        x, (height, width), interpolation=interpolation, data_format="channels_last"
    )


def _double_legacy(x, axis):
    if axis == 1:
        following = ops.concatenate([x[:, 1:], x[:, -1:]], axis=1)
    else:
        following = ops.concatenate([x[:, :, 1:], x[:, :, -1:]], axis=2)
    pairs = ops.stack([x, (x + following) * 0.5], axis=axis + 1)
    shape = [-1, *x.shape[1:]]
    shape[axis] *= 2
    return ops.reshape(pairs, shape)
