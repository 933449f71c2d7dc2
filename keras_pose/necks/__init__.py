"""Necks: feature maps to feature maps."""

from keras_pose.necks.centernet_neck import CenterNetNeck
from keras_pose.necks.cspnext_pafpn import CSPNeXtPAFPN
from keras_pose.necks.separable_fpn import SeparableFPN
