"""3D poses in the picture's coordinates, as MotionBERT learns them."""

import keras
from keras import ops

from keras_pose.codecs.codec import label_weights
from keras_pose.codecs.decoding import constant
from keras_pose.codecs.pose_lifting import LiftingCodec
from keras_pose.losses.comparison import check_choice

# Millimetres per pixel where no camera tells: those of a person 4.6 m before Human3.6M's cameras.
FACTOR = 4.0


@keras.saving.register_keras_serializable(package="keras_pose")
class MotionBERTLabel(LiftingCodec):
    """x, y as in the picture and depth in the same unit, about the root
    (https://arxiv.org/abs/2210.06551).

    The unit of the outputs is half the picture's width.

    Args:
        root_index: int, see `LiftingCodec`.
        mode: "train", targets in the unit of the outputs; or "test", in metres, as the reference
            measures its loss in validation.
        rootrel: bool, whether decoding sets the root to 0 before anything else: for networks that
            learn it only roughly.
        image_size: (width, height) in pixels of pictures whose size neither labels nor outputs
            tell.
    """

    label_keys = ("keypoints_3d", "visible_3d", "focal", "center", "image_size")

    def __init__(self, root_index=0, mode="train", rootrel=False, image_size=(1000, 1002)):
        super().__init__(root_index)
        check_choice("mode", mode, ("train", "test"))
        self.mode = mode
        self.rootrel = bool(rootrel)
        self.image_size = tuple(int(size) for size in image_size)

    def encode(self, labels):
        """`coordinates` `(B, N, K, 3)`, `weights` `(B, N, K)`, and `factor` `(B, N)`, the
        millimetres per pixel at the depth of each root.

        Args:
            labels: `keypoints_3d`, `visible_3d`, and of the camera `focal`, `center` and
                `image_size` `(B, 2)` in pixels. Without focal length and centre the keypoints are
                taken to be in thousands of pixels already. `factor` `(B, N)` may be given.
        """
        points = ops.cast(labels["keypoints_3d"], "float32")
        factor = FACTOR * ops.ones_like(points[..., 0, 0])
        if "focal" in labels and "center" in labels:
            points, factor = self._in_picture(points, labels["focal"], labels["center"])
        factor = ops.cast(labels["factor"], "float32") if "factor" in labels else factor
        points = points - self.root(points)
        size = self._size(labels, points)
        if self.mode == "train":
            # Points are in thousands of pixels.
            coordinates = points * (2000.0 / size[:, None, None, :1])
        else:
            coordinates = points * factor[..., None, None]
        weights = label_weights({**labels, "visible": ops.cast(labels["visible_3d"], "float32")})
        targets = {"coordinates": coordinates, "weights": weights}
        return {**targets, "factor": factor, "image_size": size}

    def decode(self, outputs):
        """`keypoints` `(B, N, K, 3)` in metres about the root, and `scores`, which are 1.

        Args:
            outputs: `coordinates`, and optionally `factor` `(B, N)`, millimetres per pixel (else 4,
                so that sizes are those of people at the usual distance), and `image_size` `(B, 2)`.
        """
        points = ops.cast(outputs["coordinates"], "float32")
        if self.rootrel:
            # Only the first keypoint becomes 0; it is the root of all published models.
            points = ops.concatenate([0.0 * points[:, :, :1], points[:, :, 1:]], axis=2)
        root = self.root(points)
        scale = self._size(outputs, points)[:, None, None, :1] / 2000
        if "factor" in outputs:
            scale = scale * ops.cast(outputs["factor"], "float32")[..., None, None]
        else:
            scale = scale * FACTOR
        points = (points - root) * scale
        return {"keypoints": points, "scores": ops.ones_like(points[..., 0])}

    def get_config(self):
        return {
            "root_index": self.root_index,
            "mode": self.mode,
            "rootrel": self.rootrel,
            "image_size": list(self.image_size),
        }

    def _size(self, entries, points):
        if "image_size" in entries:
            return ops.cast(entries["image_size"], "float32")
        return constant(self.image_size) * ops.ones_like(points[:, 0, 0, :2])

    def _in_picture(self, points, focal, center):
        """Points in thousands of pixels with a depth of the same unit, and millimetres per pixel;
        see `geometry.camera.image_coordinates`."""
        focal = ops.cast(focal, "float32")[:, None, None] / 1000
        center = ops.cast(center, "float32")[:, None, None] / 1000
        depth = self.root(points)[..., 2:]
        factor = 2.0 / (2.0 * focal[..., :1] / _apart(depth) + 0.001)
        flat = points[..., :2] / _apart(points[..., 2:]) * focal + center
        above = (points[..., 2:] - depth) / factor
        return ops.concatenate([flat, above], axis=-1), factor[:, :, 0, 0]


def _apart(depth):
    """Depths that can be divided by: points that are not labelled may lie at 0."""
    return ops.where(depth == 0, 1.0, depth)
