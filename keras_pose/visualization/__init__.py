"""Drawing of keypoints and heatmaps: arrays in, pictures out, no display needed."""

from keras_pose.visualization.heatmaps import draw_heatmaps
from keras_pose.visualization.poses import draw_poses
from keras_pose.visualization.sheets import contact_sheet
from keras_pose.visualization.space import draw_pose_3d

__all__ = ["contact_sheet", "draw_heatmaps", "draw_pose_3d", "draw_poses"]
