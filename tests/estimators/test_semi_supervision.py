"""PoseLifter that learns from films without 3D labels too."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_pose
from keras_pose.backbones import TCN
from keras_pose.codecs import MotionBERTLabel, VideoPoseLifting
from keras_pose.datasets import RandomPoseFlip, walking_sequences
from keras_pose.estimators.semi_supervision import seen
from keras_pose.geometry import Camera
from keras_pose.heads import TemporalRegressionHead, TrajectoryRegressionHead
from keras_pose.losses import SemiSupervisionLoss
from keras_pose.losses.semi_supervision import projected

PARENTS = [0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15]
# The projection is in pixels, the other terms are in metres.
LOSS = {"joint_parents": PARENTS, "projection_loss_weight": 0.002}


def _lifter(codec=None, **changes):
    parts = {
        "traj_backbone": TCN((3, 3), channels=32, dropout=0.0),
        "traj_head": TrajectoryRegressionHead(),
        "semi_loss": SemiSupervisionLoss(**LOSS),
        **changes,
    }
    head = TemporalRegressionHead(17, codec or VideoPoseLifting(remove_root=True))
    return keras_pose.PoseLifter(TCN((3, 3), channels=32, dropout=0.0), head, **parts)


def _batch(labelled=1, films=2, count=16):
    film = walking_sequences(
        films=films, frames=40, labelled=labelled, seq_len=9, causal=False, pad_video_seq=True
    )
    return film.batch(np.linspace(0, len(film) - 1, count).astype(int))


def _terms(lifter, inputs, labels):
    lifter.compile(keras.optimizers.SGD(0.0))
    found = lifter.evaluate(inputs, labels, batch_size=len(inputs), verbose=0, return_dict=True)
    return {name: found[name] for name in lifter.loss_terms()}


def test_training_lowers_the_losses_of_films_with_and_without_labels():
    lifter = _lifter()
    lifter.compile(keras.optimizers.Adam(3e-3))
    history = lifter.fit(*_batch(), epochs=12, batch_size=16, verbose=0).history
    for name in ("loss", "loss_pose3d", "loss_traj", "proj_loss", "mpjpe"):
        assert history[name][-1] < 0.9 * history[name][0], name


def test_true_poses_have_no_loss():
    """Projected to where the film has them, in a mirrored picture of a lens too."""
    film = walking_sequences(films=1, frames=12, seq_len=9, causal=False, pad_video_seq=True)
    lens = Camera((1145, 1144), (512, 515), radial=[-0.2, 0.2, 0], tangential=[0.001, -0.002])
    film = keras_pose.datasets.PoseSequences(
        "h36m",
        lens.project(film.keypoints_3d),
        film.keypoints_3d,
        windows=film.windows,
        cameras=[lens],
        camera_ids=np.zeros(12),
    )
    for prob in (0, 1):
        inputs, labels = film.batch([5, 6], augment=RandomPoseFlip(prob=prob))
        there = {name: ops.convert_to_numpy(v) for name, v in seen(inputs, labels, False).items()}
        points = labels["keypoints_3d"][:, 0]
        found = ops.convert_to_numpy(
            projected(ops.convert_to_tensor(points), ops.convert_to_tensor(there["intrinsics"]))
        )
        # The loss has the tangential part once, a lens twice.
        np.testing.assert_allclose(found, there["seen"][:, 0], atol=0.3)


def test_only_labels_teach_poses_and_only_films_without_them_the_rest():
    lifter = _lifter()
    inputs, labels = _batch()
    known = labels["visible_3d"][:, 0, 0] > 0
    assert 0 < known.sum() < len(known)
    terms = _terms(lifter, inputs, labels)
    some = _terms(lifter, inputs[known], {k: v[known] for k, v in labels.items()})
    others = _terms(lifter, inputs[~known], {k: v[~known] for k, v in labels.items()})
    for name in ("loss_pose3d", "loss_traj"):
        np.testing.assert_allclose(terms[name], some[name], rtol=1e-4)
        assert others[name] == 0
    np.testing.assert_allclose(terms["proj_loss"], others["proj_loss"], rtol=1e-4)
    assert some["proj_loss"] == some["bone_loss"] == others["bone_loss"] == 0
    assert terms["bone_loss"] > 0


def test_keypoints_that_the_film_does_not_show_do_not_count():
    lifter = _lifter()
    inputs, labels = _batch(labelled=0)
    before = _terms(lifter, inputs, labels)["proj_loss"]
    labels["visible"][:, 4, :9] = 0
    assert abs(_terms(lifter, inputs, labels)["proj_loss"] - before) > 1e-4
    labels["visible"][:] = 0
    assert _terms(lifter, inputs, labels)["proj_loss"] == 0


def test_a_preset_keeps_the_loss(tmp_path):
    path = _lifter().save_to_preset(tmp_path / "lifter")
    again = keras_pose.PoseLifter.from_preset(str(path))
    assert again.semi_loss.get_config() == SemiSupervisionLoss(**LOSS).get_config()
    assert again.loss_terms() == ("loss_pose3d", "loss_traj", "proj_loss", "bone_loss")


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match="give traj_head="):
        _lifter(traj_head=None, traj_backbone=None)
    with pytest.raises(ValueError, match="got MotionBERTLabel"):
        _lifter(MotionBERTLabel())
    with pytest.raises(ValueError, match="must be a SemiSupervisionLoss, got MPJPELoss"):
        _lifter(semi_loss=keras_pose.losses.MPJPELoss())
    inputs, labels = _batch()
    del labels["focal"]
    lifter = _lifter()
    lifter.compile("adam")
    with pytest.raises(ValueError, match="lack 'focal': semi_loss projects poses"):
        lifter.fit(inputs, labels, verbose=0)
