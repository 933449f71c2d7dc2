import numpy as np
import pytest

from keras_pose.datasets.synthetic import walking_pose, walking_sequences
from keras_pose.skeleton import Skeleton

H36M = Skeleton.load("h36m")


def at(points, *names):
    return points[..., [H36M.index(name) for name in names], :]


@pytest.fixture(scope="module")
def walks():
    return walking_sequences(films=3, frames=120, seed=1)


def test_the_same_seed_gives_the_same_films(walks):
    again = walking_sequences(films=3, frames=120, seed=1)
    np.testing.assert_array_equal(walks.keypoints, again.keypoints)
    other = walking_sequences(films=3, frames=120, seed=2)
    assert np.abs(walks.keypoints - other.keypoints).max() > 1


def test_bones_keep_their_length(walks):
    ends = walks.keypoints_3d[:, H36M.links]
    lengths = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1).reshape(3, 120, -1)
    assert np.ptp(lengths, axis=1).max() < 1e-5
    assert lengths.min() > 0.08 and lengths.max() < 0.55


def test_the_camera_sees_the_figure(walks):
    seen = np.stack(
        [
            walks.cameras[camera].project(points)
            for camera, points in zip(walks.camera_ids, walks.keypoints_3d, strict=True)
        ]
    )
    np.testing.assert_allclose(seen, walks.keypoints, atol=1e-2)
    assert walks.keypoints_3d[..., 2].min() > 1
    assert (walks.keypoints > 0).all() and (walks.keypoints < 1000).all()
    # heads are above feet
    assert (at(walks.keypoints, "head")[..., 1] < at(walks.keypoints, "left_foot")[..., 1]).all()


def test_a_foot_is_on_the_floor(walks):
    world = walks.cameras[0].to_world(walks.keypoints_3d[:120])
    np.testing.assert_allclose(world[..., 2].min(axis=-1), 0, atol=1e-5)
    assert 1.4 < world[..., 2].max() < 2.0


def test_legs_and_arms_swing_against_each_other():
    pose = walking_pose(np.linspace(0, 2 * np.pi, 200, endpoint=False))
    ahead = {name: at(pose, name)[:, 0, 2] for name in H36M.keypoints}
    assert np.corrcoef(ahead["left_knee"], ahead["right_knee"])[0, 1] < -0.9
    assert np.corrcoef(ahead["left_knee"], ahead["left_wrist"])[0, 1] < -0.9
    # knees bend forward: the shank is behind the thigh's line
    bend = np.cross(
        at(pose, "left_knee")[:, 0] - at(pose, "left_hip")[:, 0],
        at(pose, "left_foot")[:, 0] - at(pose, "left_knee")[:, 0],
    )[:, 0]
    assert (bend > 0).all() or (bend < 0).all()
    # the figure's left side is on its left
    assert (at(pose, "left_shoulder")[..., 0] > at(pose, "right_shoulder")[..., 0]).all()


def test_figures_walk_forward(walks):
    world = walks.cameras[0].to_world(walks.keypoints_3d[:120].astype(np.float64))
    hips = at(world, "right_hip", "left_hip")[:, :, :2]
    left = hips[:, 1] - hips[:, 0]
    ahead = np.stack([left[:, 1], -left[:, 0]], -1)
    moved = np.diff(at(world, "root")[:, 0, :2], axis=0)
    assert ((moved * ahead[:-1]).sum(-1) > 0).all()


def test_windows_and_noise():
    walks = walking_sequences(films=2, frames=30, seq_len=9, causal=False, pad_video_seq=True)
    inputs, labels = walks.batch(np.arange(4))
    assert len(walks) == 60 and inputs.shape == (4, 9, 17, 2)
    assert labels["keypoints_3d"].shape == (4, 1, 17, 3) and labels["focal"].shape == (4, 2)
    noisy = walking_sequences(films=1, frames=200, noise=3.0)
    clean = noisy.cameras[0].project(noisy.keypoints_3d)
    assert abs((noisy.keypoints - clean).std() - 3) < 0.1
    assert len(walking_sequences(films=0)) == 0
