"""MSPN (Li et al., 2019, https://arxiv.org/abs/1901.00148)."""

import keras

from keras_pose.backbones.multi_stage import MultiStageNet, shortcut
from keras_pose.backbones.resnet import Bottleneck

# Published networks as arguments of `MSPN`.
VARIANTS = {
    "mspn50": {"num_stages": 1},
    "2xmspn50": {"num_stages": 2},
    "3xmspn50": {"num_stages": 3},
    "4xmspn50": {"num_stages": 4},
}


@keras.saving.register_keras_serializable(package="keras_pose")
class MSPN(MultiStageNet):
    """MSPN: images to feature maps of every stage. `VARIANTS` has the published ones.

    Args:
        num_stages: int.
        num_blocks: number of bottlenecks of each level, fine to coarse; each level has twice the
            width and half the size of the one before.
        unit_channels: int, width of all returned maps.
        top_channels: int, width of the stem, of each stage's input and inside the first level's
            bottlenecks; 64 in every published model.

    Returns:
        List with a list of maps `(B, h, w, unit_channels)` per stage, coarse to fine; strides 32,
        16, 8 and 4 with four levels.
    """

    _expansion = Bottleneck.expansion
    _stages = "multi_stage_mspn"

    def __init__(
        self,
        num_stages=4,
        num_blocks=(3, 4, 6, 3),
        unit_channels=256,
        top_channels=64,
        **kwargs,
    ):
        super().__init__(num_stages, num_blocks, unit_channels, top_channels, **kwargs)
        self._assemble()

    def _block(self, in_channels, width, strides):
        filters = width * self._expansion
        downsample = shortcut(in_channels, filters, strides)
        return Bottleneck(filters, width, strides, downsample, zero_init=False)
