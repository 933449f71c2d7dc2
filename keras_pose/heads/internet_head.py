"""Two hands in space: a volume per joint, the depth between the wrists, which hands are there."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.decoding import constant
from keras_pose.heads.head import Head
from keras_pose.heads.heatmap_head import HeatmapHead
from keras_pose.layers import Composite, Dense, Stack, component
from keras_pose.losses.internet import InterNetLoss


class Perceptron(Composite):
    """Dense layers with ReLUs between them."""

    def __init__(self, widths: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        self.fc = Stack()
        for i, width in enumerate(widths):
            if i:
                self.fc.append(keras.layers.ReLU())
            normal = keras.initializers.RandomNormal(stddev=0.01)
            self.fc.append(Dense(width, kernel_initializer=normal))

    def call(self, x, training=None):
        return ops.cast(self.fc(x), "float32")


@keras.saving.register_keras_serializable(package="keras_pose")
class InterNetHead(Head):
    """Right and left hand from the last feature map (https://arxiv.org/abs/2008.09309).

    Args:
        num_keypoints: int, of both hands; those of the right one come first.
        codec: `Hand3DHeatmap`, which knows the depth of volumes and the bins between the wrists.
        loss_module: default `InterNetLoss()`.
        deconv_filters, deconv_kernels: of each hand's transposed convolutions, see `HeatmapHead`.
        root_hidden, hand_type_hidden: widths of the hidden layers behind the pooled features.

    Returns:
        `heatmaps` `(B, h, w, K, D)`; `root` `(B, 1)`, the depth between the wrists in bins;
        `hand_type` `(B, 2)`, logits of right and left.

    Raises:
        ValueError: if the keypoints are not those of two hands.
    """

    def __init__(
        self,
        num_keypoints,
        codec,
        loss_module=None,
        deconv_filters=(256, 256, 256),
        deconv_kernels=(4, 4, 4),
        root_hidden=(512,),
        hand_type_hidden=(512,),
        **kwargs,
    ):
        if num_keypoints % 2:
            raise ValueError(f"two hands need an even number of keypoints, got {num_keypoints}")
        super().__init__(codec, component(loss_module) or InterNetLoss(), **kwargs)
        self.num_keypoints = num_keypoints
        self.deconv_filters = tuple(deconv_filters)
        self.deconv_kernels = tuple(deconv_kernels)
        self.root_hidden = tuple(root_hidden)
        self.hand_type_hidden = tuple(hand_type_hidden)
        maps = num_keypoints // 2 * self.codec.depth_size
        layers = {"deconv_filters": self.deconv_filters, "deconv_kernels": self.deconv_kernels}
        self.right_hand_head = HeatmapHead(maps, None, **layers)
        self.left_hand_head = HeatmapHead(maps, None, **layers)
        self.root_head = Perceptron([*self.root_hidden, self.codec.root_size])
        self.hand_type_head = Perceptron([*self.hand_type_hidden, 2])

    def call(self, features, training=None):
        hands = (self.right_hand_head, self.left_hand_head)
        maps = [hand(features, training=training)["heatmaps"] for hand in hands]
        maps = ops.concatenate(maps, axis=-1)
        _, height, width, _ = maps.shape
        shape = (-1, height, width, self.num_keypoints, self.codec.depth_size)
        pooled = ops.mean(features[-1], axis=(1, 2))
        likely = ops.softmax(self.root_head(pooled))
        bins = constant(np.arange(self.codec.root_size))
        return {
            "heatmaps": ops.reshape(maps, shape),
            "root": ops.sum(likely * bins, axis=-1, keepdims=True),
            "hand_type": self.hand_type_head(pooled),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "deconv_filters": self.deconv_filters,
            "deconv_kernels": self.deconv_kernels,
            "root_hidden": self.root_hidden,
            "hand_type_hidden": self.hand_type_hidden,
        }
