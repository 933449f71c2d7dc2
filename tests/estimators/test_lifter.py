"""PoseLifter: training, lifting films, and what it refuses."""

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import TCN, DSTFormer
from keras_pose.codecs import MotionBERTLabel, VideoPoseLifting
from keras_pose.datasets import walking_sequences
from keras_pose.heads import MotionRegressionHead, TemporalRegressionHead, TrajectoryRegressionHead


def _tcn(**changes):
    settings = {"causal": False, **changes}
    causal = settings.pop("causal")
    backbone = TCN((3, 3), channels=16, dropout=0.0, causal=causal)
    return keras_pose.PoseLifter(
        backbone, TemporalRegressionHead(17, VideoPoseLifting()), **settings
    )


def _motion():
    backbone = DSTFormer(8, depth=2, num_heads=2, frames=9)
    return keras_pose.PoseLifter(backbone, MotionRegressionHead(17, MotionBERTLabel(), 8))


def _both():
    trajectory = {
        "traj_backbone": TCN((3, 3), channels=8, dropout=0.0),
        "traj_head": TrajectoryRegressionHead(),
    }
    return _tcn(**trajectory)


LIFTERS = {"tcn": _tcn, "motion": _motion, "trajectory": _both}


def _film(name):
    windows = {"multiple_target": 9} if name == "motion" else {"seq_len": 9, "causal": False}
    return walking_sequences(films=2, frames=40, **windows)


@pytest.mark.parametrize("name", LIFTERS)
def test_training_lowers_the_error(name):
    film, lifter = _film(name), LIFTERS[name]()
    inputs, labels = film.batch(np.arange(min(8, len(film))))
    lifter.compile(keras.optimizers.Adam(3e-3))
    history = lifter.fit(inputs, labels, epochs=8, batch_size=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["mpjpe"][-1] < history["mpjpe"][0]
    assert ("loss_traj" in history) == (name == "trajectory")


@pytest.mark.parametrize("name", LIFTERS)
def test_a_stored_lifter_lifts_the_same(name, tmp_path):
    lifter = LIFTERS[name]()
    again = keras_pose.PoseLifter.from_preset(str(lifter.save_to_preset(tmp_path / "lifter")))
    film = walking_sequences(films=1, frames=12)
    expected = lifter.lift(film.keypoints, flip_test=True)
    np.testing.assert_allclose(again.lift(film.keypoints, flip_test=True), expected, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_films_are_lifted_as_their_windows(causal):
    """In one pass by dilated convolutions, or window by window by those with strides."""
    lifter = _tcn(causal=causal)
    film = walking_sequences(films=1, frames=11, seq_len=9, causal=causal, pad_video_seq=True)
    windows, _ = film.batch(np.arange(len(film)))
    expected = lifter.predict_on_batch(windows)["keypoints"][:, 0]
    found = lifter.lift(film.keypoints, image_size=(1000, 1002))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 5, 9, 13])
@pytest.mark.parametrize("name", LIFTERS)
def test_films_of_any_length(name, frames):
    film = walking_sequences(films=1, frames=frames)
    assert LIFTERS[name]().lift(film.keypoints).shape == (frames, 17, 3)


def test_the_size_of_the_picture_plays_no_part():
    lifter, film = _tcn(), walking_sequences(films=1, frames=3)
    small = lifter.lift(film.keypoints / 2, image_size=(500, 501))
    np.testing.assert_allclose(small, lifter.lift(film.keypoints), atol=1e-5)


def test_missing_keypoints_are_filled_in():
    lifter, film = _tcn(), walking_sequences(films=1, frames=9)
    points = film.keypoints.copy()
    points[4] = (points[3] + points[5]) / 2
    holes = points.copy()
    holes[4] = np.nan
    np.testing.assert_allclose(lifter.lift(holes), lifter.lift(points), atol=1e-5)
    holes[:, 5] = np.nan
    with pytest.raises(ValueError, match="keypoint 5 is missing in all 9 frames"):
        lifter.lift(holes)


def test_people_are_lifted_along_their_tracks():
    lifter = _tcn()
    films = [walking_sequences(films=1, frames=6, seed=seed).keypoints for seed in (0, 1)]
    results = [
        keras_pose.PoseResult(
            np.stack([films[i][f] for i in order]),
            np.ones((2, 17)),
            "h36m",
            track_ids=np.array(order) + 5,
            image_size=(1000, 1002),
        )
        for f in range(6)
        for order in [(0, 1) if f % 2 else (1, 0)]
    ]
    lifted = lifter.predict_poses(results)
    first = np.stack([result.keypoints[result.track_ids == 5][0] for result in lifted])
    np.testing.assert_allclose(first, lifter.lift(films[0]), atol=1e-5)


def test_poses_of_coco_are_mapped():
    points = np.random.default_rng(0).uniform(0, 1000, (4, 17, 2))
    assert _tcn().lift(points, skeleton="coco").shape == (4, 17, 3)
    with pytest.raises(ValueError, match="say where its keypoints come from"):
        _tcn().lift(np.zeros((4, 21, 2)), skeleton="coco_wholebody_hand")


def _result(tracks=(1,), skeleton="h36m", size=(1000, 1002)):
    points = np.random.default_rng(0).uniform(0, 1000, (max(tracks, default=0) + 1, 17, 2))
    tracks = np.array(tracks, int)
    points = points[tracks]
    return keras_pose.PoseResult(
        points, np.ones(points.shape[:2]), skeleton, track_ids=tracks, image_size=size
    )


@pytest.mark.parametrize("name", LIFTERS)
def test_frames_without_anybody_are_filled_in_and_get_no_poses(name):
    """At the beginning, in the middle and at the end; of a film shorter than the network's."""
    film = [_result(()), _result(), keras_pose.PoseResult.empty("h36m"), _result(()), _result()]
    lifter = LIFTERS[name]()
    lifted = lifter.predict_poses(iter([*film, _result(())]))
    assert [len(result) for result in lifted] == [0, 1, 0, 0, 1, 0]
    # The person stands still, so the gap is filled with the same pose.
    still = lifter.lift(np.repeat(film[1].keypoints, 4, axis=0), np.ones((4, 17)))
    np.testing.assert_allclose(lifted[1].keypoints[0], still[0], atol=1e-5)


def test_what_is_no_number_is_missing():
    points = walking_sequences(films=1, frames=7).keypoints
    points[:2], points[5:] = np.nan, np.inf
    lifter = _tcn()
    still = points[[2, 2, 2, 3, 4, 4, 4]]
    np.testing.assert_allclose(lifter.lift(points), lifter.lift(still), atol=1e-6)
    assert np.isfinite(lifter.lift(still, np.full((7, 17), np.nan))).all()


def test_a_mapping_adds_to_what_is_known():
    points = np.random.default_rng(0).uniform(0, 1000, (4, 17, 2))
    lifter = _tcn()
    known = lifter.lift(points, skeleton="coco")
    again = lifter.lift(points, skeleton="coco", mapping={"neck_base": ["nose"]})
    np.testing.assert_array_equal(again, known)
    other = lifter.lift(points, skeleton="coco", mapping={"neck_base": "left_ear"})
    assert np.abs(other - known).max() > 1e-3


POINTS = np.zeros((4, 17, 2))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda lifter: lifter.lift([["a"]]), "keypoints must be an array of numbers, got"),
        (lambda lifter: lifter.lift(POINTS * np.nan), "keypoint 0 is missing in all 4 frames"),
        (lambda lifter: lifter.lift(POINTS, np.ones((3, 17))), r"visible must be \(4, 17\)"),
        (lambda lifter: lifter.lift(POINTS, "abc"), "visible must be an array of numbers"),
        (lambda lifter: lifter.lift(POINTS, image_size="wide"), "image_size must be .* got 'wide'"),
        (lambda lifter: lifter.lift(POINTS, skeleton="cocoo"), "did you mean coco"),
        (
            lambda lifter: lifter.lift(np.zeros((4, 14, 2)), skeleton="aic"),
            r"the skeleton 'h36m', the poses are of 'aic': .* mapping=\{'root': \(...\)",
        ),
        (lambda lifter: lifter.lift(POINTS, mapping=["root"]), "mapping must be {keypoint"),
        (lambda lifter: lifter.lift(POINTS, mapping={"root": 3}), "mapping must be {keypoint"),
        (lambda lifter: lifter.lift(POINTS, mapping={"root": ()}), "mapping must be {keypoint"),
        (lambda lifter: lifter.lift(POINTS, mapping={"pelvis": "root"}), "no keypoint 'pelvis'"),
        (lambda lifter: lifter.lift(POINTS, mapping={"root": "hip"}), "no keypoint 'hip'"),
        (lambda lifter: lifter.predict_poses(_result()), "one a frame, got a single one"),
        (lambda lifter: lifter.predict_poses([_result(), None]), r"poses\[1\] .* an empty one"),
        (lambda lifter: lifter.predict_poses([_result((1, 1))]), "frame 0 has the track 1 2 times"),
        (
            lambda lifter: lifter.predict_poses([_result(), _result(skeleton="coco")]),
            "frame 1 are of the skeleton 'coco', those of frame 0 of 'h36m'",
        ),
    ],
)
def test_poses_that_cannot_be_lifted_are_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use(_tcn())


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda lifter: lifter.lift(np.zeros((4, 16, 2))), r"keypoints must be \(F, 17, 2\)"),
        (lambda lifter: lifter.lift(np.zeros((4, 17, 2)), image_size=(0, 3)), "image_size must"),
        (lambda lifter: lifter.predict(np.zeros((1, 9, 16, 2))), r"poses must be \(B, T, 17, 2\)"),
        (lambda lifter: lifter.predict_on_batch(np.zeros((1, 4, 17, 2), "f4")), "sees 9 frames"),
    ],
)
def test_bad_input_is_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use(_tcn())


def test_motionbert_needs_cameras():
    lifter = _motion()
    inputs, labels = _film("motion").batch(np.arange(2))
    del labels["focal"]
    lifter.compile("adam")
    with pytest.raises(ValueError, match="the labels lack 'focal'; the films need cameras"):
        lifter.fit(inputs, labels, verbose=0)
