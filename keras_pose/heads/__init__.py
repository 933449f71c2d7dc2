"""Heads: feature maps to raw outputs."""

from keras_pose.heads.associative_embedding_head import AssociativeEmbeddingHead
from keras_pose.heads.centernet_head import CenterNetHead
from keras_pose.heads.cid_head import CIDHead
from keras_pose.heads.cpm_head import CPMHead
from keras_pose.heads.dekr_head import DEKRHead, PoseRescorer
from keras_pose.heads.hand_landmark_head import HandLandmarkHead
from keras_pose.heads.head import Head
from keras_pose.heads.heatmap_head import HeatmapHead
from keras_pose.heads.integral_regression_head import IntegralRegressionHead
from keras_pose.heads.internet_head import InterNetHead
from keras_pose.heads.motion_regression_head import MotionRegressionHead
from keras_pose.heads.movenet_head import MoveNetHead, MoveNetMultiPoseHead
from keras_pose.heads.mspn_head import MSPNHead
from keras_pose.heads.regression_head import RegressionHead, RLEHead
from keras_pose.heads.rtmcc_head import RTMCCHead, RTMW3DHead, RTMWHead
from keras_pose.heads.rtmo_head import RTMOHead
from keras_pose.heads.simcc_head import SimCCHead
from keras_pose.heads.skps_head import SKPSHead
from keras_pose.heads.temporal_regression_head import (
    TemporalRegressionHead,
    TrajectoryRegressionHead,
)
from keras_pose.heads.vis_predict_head import VisPredictHead
from keras_pose.heads.yolox_pose_head import YOLOXPoseHead
