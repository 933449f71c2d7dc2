"""Building blocks: convolutions with PyTorch's conventions, fast on every backend."""

from keras_pose.layers.activation import activation
from keras_pose.layers.attention import (
    MultiheadAttention,
    SelfAttention,
    WindowAttention,
    attend,
    split_heads,
)
from keras_pose.layers.channel_shuffle import channel_shuffle
from keras_pose.layers.composite import Composite, Stack, component, serialized, symbolic
from keras_pose.layers.conv_module import ConvModule, SeparableConvModule, SqueezeExcite
from keras_pose.layers.convolution import Conv2D, Conv2DTranspose, DepthwiseConv2D
from keras_pose.layers.convolution_1d import Conv1D
from keras_pose.layers.deformable import DeformableConv2D
from keras_pose.layers.dense import Dense
from keras_pose.layers.drop_path import DropPath, drop_path_rates
from keras_pose.layers.gated_attention import GatedAttentionUnit, ScaleNorm
from keras_pose.layers.initialization import (
    LazyInitialization,
    set_kernel_initializer,
    skip_initialization,
)
from keras_pose.layers.keypoint_normalization import KeypointNormalization
from keras_pose.layers.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    PixelNormalization,
)
from keras_pose.layers.pixel_shuffle import pixel_shuffle
from keras_pose.layers.pooling import AveragePool, MaxPool, average_pool, max_pool
from keras_pose.layers.resize import adaptive_average_pool, resize, upsample
