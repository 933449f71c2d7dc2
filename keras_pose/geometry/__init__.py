"""Boxes, affine maps, OKS, NMS: the only place that knows coordinate conventions."""

from keras_pose.geometry.affine import (
    apply_affine,
    center_scale_affine,
    compose_affine,
    crop_affine,
    flip_affine,
    invert_affine,
    warp,
)
from keras_pose.geometry.boxes import (
    box_iou,
    box_overlaps,
    center_scale_to_xyxy,
    clip_boxes,
    match_aspect,
    points_to_xyxy,
    validate_boxes,
    xywh_to_xyxy,
    xyxy_to_center_scale,
    xyxy_to_xywh,
)
from keras_pose.geometry.camera import Camera, image_coordinates
from keras_pose.geometry.nms import (
    best_candidates,
    box_nms,
    lowered_scores,
    nearby_joints_nms,
    oks_nms,
    soft_oks_nms,
)
from keras_pose.geometry.oks import mean_similarity, oks

__all__ = [
    "Camera",
    "apply_affine",
    "best_candidates",
    "box_iou",
    "box_nms",
    "box_overlaps",
    "center_scale_affine",
    "center_scale_to_xyxy",
    "clip_boxes",
    "compose_affine",
    "crop_affine",
    "flip_affine",
    "image_coordinates",
    "invert_affine",
    "lowered_scores",
    "match_aspect",
    "mean_similarity",
    "nearby_joints_nms",
    "oks",
    "oks_nms",
    "points_to_xyxy",
    "soft_oks_nms",
    "validate_boxes",
    "warp",
    "xywh_to_xyxy",
    "xyxy_to_center_scale",
    "xyxy_to_xywh",
]
