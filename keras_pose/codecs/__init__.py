"""Codecs: keypoints to what a head learns, and back."""

from keras_pose.codecs.associative_embedding import AssociativeEmbedding
from keras_pose.codecs.centernet import CenterNetCodec
from keras_pose.codecs.codec import Codec
from keras_pose.codecs.decoupled_heatmap import DecoupledHeatmap
from keras_pose.codecs.hand3d_heatmap import Hand3DHeatmap
from keras_pose.codecs.hand_landmark_label import HandLandmarkLabel
from keras_pose.codecs.integral_regression_label import IntegralRegressionLabel
from keras_pose.codecs.megvii_heatmap import MegviiHeatmap
from keras_pose.codecs.motionbert_label import MotionBERTLabel
from keras_pose.codecs.movenet import MoveNetCodec
from keras_pose.codecs.movenet_multipose import MoveNetMultiPoseCodec
from keras_pose.codecs.msra_heatmap import MSRAHeatmap
from keras_pose.codecs.multilevel_heatmap import MultilevelHeatmap
from keras_pose.codecs.pose_lifting import ImagePoseLifting, VideoPoseLifting
from keras_pose.codecs.regression_label import RegressionLabel
from keras_pose.codecs.rtmo import RTMOCodec
from keras_pose.codecs.simcc3d_label import SimCC3DLabel
from keras_pose.codecs.simcc_label import SimCCLabel
from keras_pose.codecs.skps_heatmap import SKPSHeatmap
from keras_pose.codecs.spr import SPR
from keras_pose.codecs.udp_heatmap import UDPHeatmap
from keras_pose.codecs.with_visibility import WithVisibility
from keras_pose.codecs.yolox_pose import YOLOXPoseCodec
