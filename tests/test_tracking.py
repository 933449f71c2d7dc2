"""PoseTracker: identities are kept while people pass, hide, leave and come back."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

import keras_pose
from keras_pose.datasets.synthetic import walking_pose
from keras_pose.paths import PRESETS
from keras_pose.results import PoseResult
from keras_pose.tracking import PoseTracker, SupervisionTracker, as_tracker
from keras_pose.video import VideoReader

HEIGHT = 110  # pixels a metre


def figure(frame, x, turn=1, y=240):
    """Keypoints `(17, 2)` of somebody who walks across the picture."""
    pose = walking_pose(np.array(0.3 * frame))
    return np.stack([x + turn * HEIGHT * pose[:, 2], y - HEIGHT * pose[:, 1]], -1)


def result_of(people, scores=None):
    """Poses of one frame with boxes around them."""
    points = np.array(people, np.float32).reshape(-1, 17, 2)
    scores = np.full(len(points), 0.8) if scores is None else np.array(scores)
    boxes = [[*(p.min(0) - 8), *(p.max(0) + 8)] for p in points]
    return PoseResult(
        points,
        np.tile(scores[:, None], (1, 17)),
        "h36m",
        boxes=np.array(boxes).reshape(-1, 4),
        box_scores=scores,
        image_size=(640, 480),
    )


def passing(seed, frames=120):
    """Two people who walk through each other, as a detector with faults sees them.

    Keypoints are off by 3 pixels, a tenth of the poses is missing, a tenth has a low score, and
    while one hides the other (boxes overlap by more than 0.7) the one behind is not found; every
    twentieth frame shows somebody who is not there. Returns for each frame the poses, who each is
    (-1: nobody), and that two are there.
    """
    random = np.random.default_rng(seed)
    film = []
    for frame in range(frames):
        x = 60 + 520 * frame / frames
        both = [figure(frame, x, 1), figure(frame + 7, 640 - x, -1, y=244)]
        hidden = abs(640 - 2 * x) < 15
        people, names, scores = [], [], []
        for name, pose in enumerate(both):
            if random.random() < 0.1 or (hidden and name == 1):
                continue
            people.append(pose + random.normal(0, 3, pose.shape))
            names.append(name)
            scores.append(0.2 if random.random() < 0.1 else 0.8)
        if random.random() < 0.05:
            people.append(figure(frame, *random.uniform((40, 1), (600, 1))))
            names.append(-1)
            scores.append(0.15)
        order = random.permutation(len(people))
        film.append(
            (
                result_of([people[i] for i in order], [scores[i] for i in order]),
                [names[i] for i in order],
            )
        )
    return film


def identity_f1(names, numbers, there):
    """IDF1 (Ristani et al., 2016, https://arxiv.org/abs/1609.01775).

    Args:
        names: for each frame, who each pose is, -1 for nobody.
        numbers: for each frame, the tracks of the poses, -1 for none.
        there: how many poses there should be: people times frames.
    """
    pairs = [pair for n, t in zip(names, numbers, strict=True) for pair in zip(n, t, strict=True)]
    tracks = sorted({int(track) for _, track in pairs if track >= 0})
    people = sorted({name for name, _ in pairs if name >= 0})
    tracks += [-2] * len(people)  # a person may have none
    right = max(
        sum(pairs.count(pair) for pair in zip(people, chosen, strict=True))
        for chosen in itertools.permutations(tracks, len(people))
    )
    found = sum(track >= 0 for _, track in pairs)
    return 2 * right / (there + found)


def tracked(film, tracker):
    return [tracker.update(poses).track_ids for poses, _ in film]


def test_two_people_who_pass_each_other_keep_their_numbers():
    """docs/tracking.md states these figures."""
    scores, best = [], []
    for film in map(passing, range(20)):
        names = [who for _, who in film]
        there = 2 * len(film)
        scores.append(identity_f1(names, tracked(film, PoseTracker()), there))
        best.append(identity_f1(names, names, there))  # with perfect numbers
    assert (np.mean(scores), np.min(scores), np.mean(best)) == pytest.approx(
        (0.933, 0.914, 0.940), abs=1e-3
    )


def test_the_two_people_of_the_sample_clip_keep_their_numbers():
    """A man walks to and fro on the left; a woman comes from the right and passes below him."""
    predictor = keras_pose.PosePredictor(
        keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco"),
        keras_pose.PersonDetector.from_preset("centernet_mobilenet_v3_coco"),
    )
    with VideoReader(PRESETS / "samples/walk.mp4") as video:
        frames = list(video)[::2]  # every second one: twice as fast
    places = {}
    for _, result in predictor.predict_frames(frames, tracker=True):
        for track, box in zip(result.track_ids.tolist(), result.boxes, strict=True):
            places.setdefault(track, []).append(box[0])
    assert set(places) - {-1} == {1, 2}
    man, woman = sorted((places[1], places[2]), key=min)
    assert (len(man), len(woman)) == (len(frames), len(frames))
    assert max(man) < 200
    assert woman[0] > 400 and woman[-1] < 150


def test_people_keep_their_numbers_whatever_their_order():
    tracker, numbers = PoseTracker(), []
    for frame in range(12):
        people = [figure(frame, 100 + 4 * frame), figure(frame, 300), figure(frame, 500)]
        order = np.random.default_rng(frame).permutation(3)
        found = tracker.update(result_of([people[i] for i in order])).track_ids
        numbers.append(found[np.argsort(order)].tolist())
    assert all(row == numbers[0] for row in numbers)
    assert sorted(numbers[0]) == [1, 2, 3]


def test_empty_frames_and_more_people_than_before():
    tracker = PoseTracker()
    assert tracker.update(PoseResult.empty("h36m")).track_ids.shape == (0,)
    assert tracker.update(result_of([figure(0, 100)])).track_ids.tolist() == [1]
    assert tracker.update(PoseResult.empty("h36m")).track_ids.shape == (0,)
    more = result_of([figure(0, 400), figure(0, 100), figure(0, 550)])
    assert tracker.update(more).track_ids.tolist() == [2, 1, 3]


@pytest.mark.parametrize(("away", "number"), [(9, 1), (10, 1), (11, 2)])
def test_who_comes_back_within_patience_keeps_the_number(away, number):
    tracker = PoseTracker(patience=10)
    for frame in range(5):
        tracker.update(result_of([figure(frame, 300)]))
    for _ in range(away):
        tracker.update(PoseResult.empty("h36m"))
    assert tracker.update(result_of([figure(0, 303)])).track_ids.tolist() == [number]


def test_who_walks_behind_something_is_expected_on_the_other_side():
    tracker = PoseTracker()
    for frame in range(40):
        seen = not 15 <= frame < 30  # 150 pixels, three times the width of the figure
        result = result_of([figure(frame, 100 + 10 * frame)] if seen else [])
        numbers = tracker.update(result).track_ids
    assert numbers.tolist() == [1]


def test_who_comes_back_elsewhere_gets_a_new_number():
    tracker = PoseTracker()
    tracker.update(result_of([figure(0, 100)]))
    assert tracker.update(result_of([figure(0, 500)])).track_ids.tolist() == [2]


def test_doubtful_poses_prolong_tracks_but_start_none():
    tracker = PoseTracker(threshold=0.5)
    people = [figure(0, 100), figure(0, 400)]
    assert tracker.update(result_of(people, [0.9, 0.4])).track_ids.tolist() == [1, -1]
    assert tracker.update(result_of(people, [0.4, 0.4])).track_ids.tolist() == [1, -1]
    assert tracker.update(result_of(people, [0.4, 0.9])).track_ids.tolist() == [1, 2]


def test_a_second_box_around_somebody_is_nobody_new():
    people = [figure(0, 100), figure(0, 103), figure(0, 160)]
    assert PoseTracker().update(result_of(people)).track_ids.tolist() == [1, -1, 2]


def test_reset_begins_anew():
    tracker = PoseTracker()
    tracker.update(result_of([figure(0, 100), figure(0, 400)]))
    tracker.reset()
    assert tracker.update(result_of([figure(0, 400)])).track_ids.tolist() == [1]


def test_poses_without_boxes_and_without_sure_keypoints():
    points = np.stack([figure(0, 100), figure(0, 400)])
    tracker = PoseTracker(threshold=0.05)
    for score in (0.9, 0.1):
        poses = PoseResult(points, np.full((2, 17), score), "h36m")
        assert tracker.update(poses).track_ids.tolist() == [1, 2]


@pytest.mark.parametrize(
    "arguments", [{"threshold": 2}, {"match_threshold": -1}, {"patience": -1}, {"patience": 1.5}]
)
def test_arguments_are_checked(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        PoseTracker(**arguments)


def test_another_skeleton_is_refused():
    tracker = PoseTracker()
    tracker.update(PoseResult.empty("h36m"))
    with pytest.raises(ValueError, match="follows poses of 'h36m', got 'coco'"):
        tracker.update(PoseResult.empty("coco"))


class BoxTracker:
    """Stands for `trackers.ByteTrackTracker` 2.6: other order, one box fewer, -1 for doubtful."""

    def update(self, detections):
        detections = detections[np.argsort(detections.xyxy[:, 0])]
        detections.tracker_id = np.arange(len(detections)) - 1
        return detections[:3]


@pytest.mark.parametrize("method", ["update", "update_with_detections"])
def test_trackers_of_boxes_are_adapted(method):
    pytest.importorskip("supervision")
    tracker = as_tracker(SimpleNamespace(**{method: BoxTracker().update}))
    assert isinstance(tracker, SupervisionTracker)
    people = [figure(0, 400), figure(0, 100), figure(0, 250), figure(0, 550)]
    assert tracker.update(result_of(people)).track_ids.tolist() == [1, -1, 0, -1]
    assert tracker.update(PoseResult.empty("h36m")).track_ids.tolist() == []


def test_what_is_no_tracker_is_refused():
    with pytest.raises(ValueError, match=r"must have a method update.*got int"):
        as_tracker(3)
    assert isinstance(as_tracker(True), PoseTracker)


def test_it_is_part_of_the_package():
    assert keras_pose.PoseTracker is PoseTracker
