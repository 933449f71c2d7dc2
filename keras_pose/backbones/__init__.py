"""Backbones: images to feature maps."""

from keras_pose.backbones.alexnet import AlexNet
from keras_pose.backbones.cpm import CPM
from keras_pose.backbones.csp import CSPDarknet, CSPNeXt
from keras_pose.backbones.dstformer import DSTFormer
from keras_pose.backbones.hand_landmark_backbone import HandLandmarkBackbone
from keras_pose.backbones.hourglass import Hourglass
from keras_pose.backbones.hourglass_ae import HourglassAE
from keras_pose.backbones.hrformer import HRFormer
from keras_pose.backbones.hrnet import HRNet
from keras_pose.backbones.keras_backbone import KerasBackbone
from keras_pose.backbones.litehrnet import LiteHRNet
from keras_pose.backbones.mobilenet_v2 import MobileNetV2
from keras_pose.backbones.mobilenet_v3 import MobileNetV3
from keras_pose.backbones.mspn import MSPN
from keras_pose.backbones.pyramid_vision_transformer import PyramidVisionTransformer
from keras_pose.backbones.regnet import RegNet
from keras_pose.backbones.resnest import ResNeSt
from keras_pose.backbones.resnet import ResNet
from keras_pose.backbones.rsn import RSN
from keras_pose.backbones.scnet import SCNet
from keras_pose.backbones.shufflenet_v1 import ShuffleNetV1
from keras_pose.backbones.shufflenet_v2 import ShuffleNetV2
from keras_pose.backbones.swin_transformer import SwinTransformer
from keras_pose.backbones.tcn import TCN
from keras_pose.backbones.uniformer import UniFormer
from keras_pose.backbones.vgg import VGG
from keras_pose.backbones.vipnas_mobilenet_v3 import ViPNASMobileNetV3
from keras_pose.backbones.vipnas_resnet import ViPNASResNet
from keras_pose.backbones.vision_transformer import VisionTransformer
