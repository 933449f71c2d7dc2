"""Learning to lift from films without 3D labels as well (section 4 of
https://arxiv.org/abs/1811.11742): windows whose `visible_3d` is 0 throughout."""

from keras import ops

from keras_pose.codecs import VideoPoseLifting
from keras_pose.losses import SemiSupervisionLoss


def check_parts(codec, traj_head, semi_loss) -> None:
    """Raises ValueError where a lifter lacks what the loss needs."""
    if semi_loss is None:
        return
    if not isinstance(semi_loss, SemiSupervisionLoss):
        raise ValueError(f"semi_loss must be a SemiSupervisionLoss, got {semi_loss!r}")
    if traj_head is None:
        raise ValueError(
            "semi_loss projects poses from where the root is, which a traj_head tells: give "
            "traj_head=TrajectoryRegressionHead()"
        )
    if not isinstance(codec, VideoPoseLifting):
        raise ValueError(
            f"semi_loss needs a head with VideoPoseLifting or ImagePoseLifting, whose poses are in "
            f"camera space, got {type(codec).__name__}"
        )


def seen(inputs, labels: dict, causal: bool) -> dict:
    """What the loss of unlabelled poses compares with.

    Args:
        inputs: `(B, T, K, 2 or 3)`, the lifter's; pixels of the film.
        labels: of `PoseSequences.batch`, with cameras.
        causal: bool, whether the poses that are put out are the last of the window, not those in
            its middle.

    Returns:
        `seen` `(B, N, K, 2)` and `seen_visible` `(B, N, K)`, the 2D poses of the frames that are
        put out, and `intrinsics` `(B, 9)`, see `SemiSupervisionLoss`.

    Raises:
        ValueError: if the labels have no cameras.
    """
    missing = [name for name in ("focal", "center", "keypoints_3d") if name not in labels]
    if missing:
        raise ValueError(
            f"the labels lack {missing[0]!r}: semi_loss projects poses, so the films need cameras; "
            f"there are {', '.join(labels)}"
        )
    count = labels["keypoints_3d"].shape[1]
    before = inputs.shape[1] - count
    before = before if causal else before // 2
    points = ops.cast(inputs[:, before : before + count], "float32")
    visible = ops.ones_like(points[..., 0])
    if "visible" in labels:
        visible = ops.cast(labels["visible"], "float32")[:, before : before + count]
    focal, center = (ops.cast(labels[name], "float32") for name in ("focal", "center"))
    distortion = labels.get("distortion")
    if distortion is None:
        distortion = ops.zeros((ops.shape(focal)[0], 5), "float32")
    intrinsics = [focal, center, ops.cast(distortion, "float32")]
    return {
        "seen": points[..., :2],
        "seen_visible": visible,
        "intrinsics": ops.concatenate(intrinsics, axis=-1),
    }


def labelled_only(targets: dict, outputs: dict) -> tuple[dict, dict, object]:
    """Targets and outputs that differ in the windows with 3D labels only, and these windows' share.

    A loss that is a mean over windows, divided by the share, is the mean over those with labels.
    """
    labelled = ops.cast(ops.any(targets["weights"] > 0, axis=(1, 2)), "float32")
    rows = labelled[:, None, None, None] > 0
    pairs = {"coordinates": targets["coordinates"], "trajectory": targets["trajectory"]}
    kept = {
        name: ops.where(rows, outputs[name], ops.cast(pairs[name], "float32")) for name in pairs
    }
    return {**targets, "labelled": labelled}, {**outputs, **kept}, ops.mean(labelled)


def unlabelled_terms(semi_loss, codec, labelled, outputs: dict) -> dict:
    """The terms of `semi_loss`.

    Args:
        labelled: `(B,)`, 1 for windows with 3D labels.
        outputs: `coordinates`, `trajectory`, and what `seen` gives.
    """
    poses = codec.decode({"coordinates": outputs["coordinates"]})["keypoints"]
    poses = poses - codec.root(poses)
    count = poses.shape[1]

    def flat(values):
        """Of every frame."""
        return ops.reshape(values, (-1, *values.shape[2:]))

    def of_frames(values):
        """For every frame that of its window."""
        return ops.repeat(values, count, axis=0) if count > 1 else values

    labelled = of_frames(labelled)
    targets = {
        "keypoints": flat(outputs["seen"]),
        "intrinsics": of_frames(outputs["intrinsics"]),
        "labeled_weights": labelled,
        "unlabeled_weights": 1 - labelled,
        "weights": flat(outputs["seen_visible"]),
    }
    found = {
        "labeled_pose": flat(poses),
        "unlabeled_pose": flat(poses),
        "trajectory": flat(outputs["trajectory"]),
    }
    return semi_loss(targets, found)
