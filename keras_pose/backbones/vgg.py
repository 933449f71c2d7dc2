"""VGG (Simonyan and Zisserman, 2014, https://arxiv.org/abs/1409.1556)."""

import keras

from keras_pose.backbones.residual import checked_depth, initialize_kernels
from keras_pose.layers import Composite, ConvModule, MaxPool, Stack

# Depth: number of convolutions per stage.
VARIANTS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


@keras.saving.register_keras_serializable(package="keras_pose")
class VGG(Composite):
    """VGG without its classifier: images to feature maps.

    Args:
        depth: 11, 13, 16 or 19.
        out_indices: which of the five stages to return, fine to coarse; a stage ends in its
            maximum of stride 2 (strides 2, 4, 8, 16, 32).
        norm: "batch" or None. Convolutions have a bias with both.
        base_channels: int, width of the first stage, doubled up to eightfold; 64 in the paper.
        ceil_mode: bool, whether odd rows and columns of a map have a maximum of their own.
        with_last_pool: bool, whether the fifth stage ends in its maximum too.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    def __init__(
        self,
        depth=16,
        out_indices=(4,),
        norm=None,
        base_channels=64,
        ceil_mode=False,
        with_last_pool=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.depth = checked_depth(depth, VARIANTS)
        self.out_indices = tuple(out_indices)
        self.norm = norm
        self.base_channels = base_channels
        self.ceil_mode = ceil_mode
        self.with_last_pool = with_last_pool
        if not self.out_indices or not all(0 <= i <= 4 for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..4, got {self.out_indices}")
        if norm not in ("batch", None):
            raise ValueError(f'norm must be "batch" or None, got "{norm}"')
        # Numbers of `features` count the maxima as well.
        self.features = Stack()
        self._ends = []
        for index in range(max(self.out_indices) + 1):
            for _ in range(VARIANTS[depth][index]):
                filters = base_channels * min(2**index, 8)
                self.features.append(ConvModule(filters, 3, norm=norm, use_bias=True))
            if index < 4 or with_last_pool:
                self.features.append(MaxPool(2, ceil_mode=ceil_mode))
            self._ends.append(len(self.features))
        initialize_kernels(self)

    def call(self, x, training=None):
        maps = []
        begin = 0
        for index, end in enumerate(self._ends):
            for i in range(begin, end):
                layer = self.features[i]
                x = layer(x) if isinstance(layer, MaxPool) else layer(x, training=training)
            if index in self.out_indices:
                maps.append(x)
            begin = end
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "depth": self.depth,
            "out_indices": self.out_indices,
            "norm": self.norm,
            "base_channels": self.base_channels,
            "ceil_mode": self.ceil_mode,
            "with_last_pool": self.with_last_pool,
        }
