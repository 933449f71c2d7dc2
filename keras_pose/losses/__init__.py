"""Losses: targets and outputs to scalars."""

from keras_pose.losses.adaptive_wing import AdaptiveWingLoss
from keras_pose.losses.assignment import SimOTAAssigner
from keras_pose.losses.associative_embedding import AssociativeEmbeddingLoss
from keras_pose.losses.bones import BoneLoss, MPJPELoss
from keras_pose.losses.boxes import CIoULoss, DIoULoss, GIoULoss, IoULoss
from keras_pose.losses.cid import CIDLoss
from keras_pose.losses.classification import BCELoss, VariFocalLoss
from keras_pose.losses.comparison import ComparisonLoss, CoordinateLoss, HeatmapLoss
from keras_pose.losses.contrastive import InfoNCELoss
from keras_pose.losses.dekr import DEKRLoss
from keras_pose.losses.discretized import JSDiscretLoss, KLDiscretLoss, MLECCLoss
from keras_pose.losses.distillation import FeaLoss, KDLoss
from keras_pose.losses.focal_heatmap import FocalHeatmapLoss
from keras_pose.losses.internet import InterNetLoss
from keras_pose.losses.keypoint_mse import (
    CombinedTargetMSELoss,
    KeypointMSELoss,
    KeypointOHKMMSELoss,
)
from keras_pose.losses.loss import Loss
from keras_pose.losses.motion import MPJPEVelocityJointLoss
from keras_pose.losses.movenet import MoveNetLoss
from keras_pose.losses.multilevel import MultilevelLoss
from keras_pose.losses.multiple import MultipleLossWrapper
from keras_pose.losses.oks import BoxOKSLoss, OKSLoss
from keras_pose.losses.regression import (
    L1Loss,
    MSELoss,
    SmoothL1Loss,
    SoftWeightSmoothL1Loss,
)
from keras_pose.losses.rle import RLELoss
from keras_pose.losses.rtmo import RTMOLoss
from keras_pose.losses.semi_supervision import SemiSupervisionLoss
from keras_pose.losses.skps import SKPSLoss
from keras_pose.losses.wing import SoftWingLoss, WingLoss
from keras_pose.losses.yolox_pose import YOLOXPoseLoss
