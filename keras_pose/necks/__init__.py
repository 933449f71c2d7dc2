"""Necks: feature maps to feature maps."""

from keras_pose.necks.centernet_neck import CenterNetNeck
from keras_pose.necks.channel_mapper import ChannelMapper
from keras_pose.necks.cspnext_pafpn import CSPNeXtPAFPN
from keras_pose.necks.feature_maps import FeatureMapProcessor, GlobalAveragePooling
from keras_pose.necks.fpn import FPN
from keras_pose.necks.hybrid_encoder import HybridEncoder
from keras_pose.necks.pose_warper_neck import PoseWarperNeck
from keras_pose.necks.separable_fpn import SeparableFPN
from keras_pose.necks.yolox_pafpn import YOLOXPAFPN
