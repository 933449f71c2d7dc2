"""RegNetX (Radosavovic et al., 2020, https://arxiv.org/abs/2003.13678)."""

from collections.abc import Mapping
from itertools import groupby

import keras
import numpy as np

from keras_pose.backbones.residual import ResidualNetwork
from keras_pose.backbones.resnet import Bottleneck

# Start and slope of the widths, their quantisation, depth and group width of the paper's networks,
# named after their multiply-adds.
VARIANTS = {
    "regnetx_400mf": {"w0": 24, "wa": 24.48, "wm": 2.54, "depth": 22, "group_w": 16},
    "regnetx_800mf": {"w0": 56, "wa": 35.73, "wm": 2.28, "depth": 16, "group_w": 16},
    "regnetx_1.6gf": {"w0": 80, "wa": 34.01, "wm": 2.25, "depth": 18, "group_w": 24},
    "regnetx_3.2gf": {"w0": 88, "wa": 26.31, "wm": 2.25, "depth": 25, "group_w": 48},
    "regnetx_4.0gf": {"w0": 96, "wa": 38.65, "wm": 2.43, "depth": 23, "group_w": 40},
    "regnetx_6.4gf": {"w0": 184, "wa": 60.83, "wm": 2.07, "depth": 17, "group_w": 56},
    "regnetx_8.0gf": {"w0": 80, "wa": 49.56, "wm": 2.88, "depth": 23, "group_w": 120},
    "regnetx_12gf": {"w0": 168, "wa": 73.36, "wm": 2.37, "depth": 19, "group_w": 112},
}
_KEYS = set(VARIANTS["regnetx_400mf"])


def stages_of(w0: float, wa: float, wm: float, depth: int, group_w: int) -> list[tuple]:
    """The stages that the paper's equations 2 to 4 give.

    Returns:
        One (blocks, width, width of a group) per stage. Widths are multiples of 8 and of the
        group's width; halves are rounded to even as Python does.
    """
    linear = w0 + wa * np.arange(depth)
    exponents = np.round(np.log(linear / w0) / np.log(wm))
    widths = (np.round(w0 * wm**exponents / 8) * 8).astype(int).tolist()
    stages = []
    for width, blocks in groupby(widths):
        group = min(group_w, width)
        stages.append((len(list(blocks)), round(width / group) * group, group))
    return stages


@keras.saving.register_keras_serializable(package="keras_pose")
class RegNet(ResidualNetwork):
    """RegNetX: images to feature maps.

    Args:
        arch: a name in `VARIANTS`, or a dict of its keys: w0, wa, wm, depth, group_w. It has to
            give four stages.
        out_indices: which of the four stages to return (strides 4, 8, 16, 32), fine to coarse.
        stem_channels: int.
        strides, avg_down, zero_init_residual: see `ResidualNetwork`.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    _pooled_stem = False
    _stem_kernel = 3

    def __init__(self, arch, stem_channels=32, strides=(2, 2, 2, 2), **kwargs):
        super().__init__(stem_channels=stem_channels, strides=strides, **kwargs)
        if isinstance(arch, str):
            if arch not in VARIANTS:
                raise ValueError(f'arch must be one of {", ".join(VARIANTS)}, got "{arch}"')
        elif not isinstance(arch, Mapping) or set(arch) != _KEYS:
            raise ValueError(f"arch must be a name or have the keys {sorted(_KEYS)}, got {arch}")
        self.arch = arch if isinstance(arch, str) else dict(arch)
        if self.deep_stem:
            raise ValueError("deep_stem is not available for RegNet")
        stages = stages_of(**(VARIANTS[arch] if isinstance(arch, str) else arch))
        if len(stages) != 4:
            raise ValueError(f"arch must give four stages, got {len(stages)} from {arch}")
        counts, widths, self._group_widths = zip(*stages, strict=True)
        self._assemble(counts, widths, self._block)

    def _block(self, index, filters, strides, downsample):
        return Bottleneck(
            filters,
            filters,
            strides,
            downsample,
            groups=filters // self._group_widths[index],
            zero_init=self.zero_init_residual,
        )

    def get_config(self):
        config = super().get_config()
        del config["base_channels"], config["deep_stem"]
        return {**config, "arch": self.arch}
