"""`keras-pose predict` with `--track` and `--lift`: who is who, and 3D poses beside the video."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import TCN
from keras_pose.cli import main, predict
from keras_pose.cli.lifting import SpaceView, VideoLifting
from keras_pose.codecs import VideoPoseLifting
from keras_pose.heads import TemporalRegressionHead
from keras_pose.paths import PRESETS
from keras_pose.predictor import PosePredictor
from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton
from keras_pose.video import VideoReader

FRAMES = 12


class TwoPeople:
    """One walks to the right; the other is there in all frames but the fourth and fifth."""

    def __init__(self, skeleton="coco"):
        self.skeleton = self.output_skeleton = Skeleton.load(skeleton)
        self.frame = 0

    def predict_poses(self, images, boxes=None, box_scores=None, flip_test=False, batch_size=16):
        return [self._next(image.shape[1::-1]) for image in images]

    def _next(self, size):
        count = self.skeleton.num_keypoints
        shape = np.random.default_rng(0).uniform((0, 0), (40, 100), (count, 2))
        people = [np.add(shape, (10 + 2 * self.frame, 5))]
        if self.frame not in (3, 4):
            people.append(np.add(shape, (200, 20)))
        self.frame += 1
        points = np.array(people[::-1])
        boxes = np.concatenate([points.min(1), points.max(1)], 1)
        scores = np.full(points.shape[:2], 0.9)
        return PoseResult(points, scores, self.skeleton, boxes, scores[:, 0], image_size=size)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(predict, "_predictor", lambda arguments: PosePredictor(TwoPeople()))


@pytest.fixture
def clip(tmp_path):
    pytest.importorskip("av")
    from keras_pose.video import VideoWriter

    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=10) as video:
        for index in range(FRAMES):
            video.write(np.full((240, 320, 3), 10 * index, np.uint8))
    return path


def small_lifter(frames=9):
    head = TemporalRegressionHead(17, VideoPoseLifting())
    return keras_pose.PoseLifter(TCN((frames // 3, 3), channels=8, dropout=0.0), head)


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    return str(small_lifter().save_to_preset(tmp_path_factory.mktemp("lifter") / "small"))


def test_tracks_of_a_video_are_in_both_forms_of_json(quick, clip, tmp_path):
    path = tmp_path / "poses.json"
    assert main(["predict", str(clip), "--track", "--json", str(path)]) == 0
    rows = json.loads(path.read_text())
    left = {row["track_id"] for row in rows if row["bbox"][0] < 150}
    right = {row["track_id"] for row in rows if row["bbox"][0] > 150}
    assert sorted([*left, *right]) == [1, 2]
    assert main(["predict", str(clip), "--json", str(path)]) == 0
    assert "track_id" not in json.loads(path.read_text())[0]


def test_tracks_are_drawn(quick, clip, tmp_path):
    for name in ("plain", "tracked"):
        predict_words = ["predict", str(clip), "--out", str(tmp_path / name)]
        assert main(predict_words + ["--track"] * (name == "tracked")) == 0
    frames = []
    for name in ("plain", "tracked"):
        with VideoReader(tmp_path / name / "clip_pose.mp4") as video:
            frames.append(next(iter(video)).astype(int))
    assert (np.abs(frames[0] - frames[1]) > 60).sum() > 300  # labels


def test_lifting_gives_3d_poses_and_a_view_beside_the_video(quick, clip, lifter, tmp_path, capsys):
    path, out = tmp_path / "poses.json", tmp_path / "out"
    words = ["--lift", lifter, "--json", str(path), "--json-format", "images", "--out", str(out)]
    assert main(["predict", str(clip), *words]) == 0
    err = capsys.readouterr().err
    assert "(2 frames missing): 2D poses are filled in" in err
    assert "less than" not in err
    data = json.loads(path.read_text())
    assert data["lifter"] == lifter
    assert Skeleton.resolve(data["skeleton_3d"]).name == "h36m"
    poses = [pose for image in data["images"] for pose in image["poses"]]
    assert len(poses) == 2 * FRAMES - 2
    found = np.array([pose["keypoints_3d"] for pose in poses])
    assert found.shape == (2 * FRAMES - 2, 17, 3)
    assert np.isfinite(found).all()
    assert len(PoseResult.from_dict(data["images"][0], skeleton=data["skeleton"])) == 2
    with VideoReader(out / "clip_pose.mp4") as video:
        pictures = list(video)
    assert (len(pictures), pictures[0].shape) == (FRAMES, (240, 320 + 120, 3))


def test_coco_rows_have_3d_poses(quick, clip, lifter, tmp_path):
    path = tmp_path / "poses.json"
    assert main(["predict", str(clip), "--lift", lifter, "--json", str(path)]) == 0
    assert np.shape(json.loads(path.read_text())[0]["keypoints_3d"]) == (17, 3)


def test_short_videos_are_lifted_and_said(quick, clip, lifter, capsys):
    assert main(["predict", str(clip), "--lift", lifter, "--max-frames", "3"]) == 0
    err = capsys.readouterr().err
    assert "track 1 (3 frames long), track 2 (3 frames long): less than the 9 frames" in err


def test_nobody_is_lifted(monkeypatch, clip, lifter, tmp_path, capsys):
    monkeypatch.setattr(
        predict, "_predictor", lambda arguments: PosePredictor(TwoPeople(), lambda image: [])
    )
    monkeypatch.setattr(TwoPeople, "_next", lambda self, size: PoseResult.empty("coco", size))
    assert main(["predict", str(clip), "--lift", lifter, "--out", str(tmp_path / "out")]) == 0
    assert "nobody was followed, so there is nothing to lift" in capsys.readouterr().err
    assert (tmp_path / "out/clip_pose.mp4").is_file()


def test_a_lifter_of_another_skeleton_says_which_mapping_it_needs(
    monkeypatch, clip, lifter, tmp_path, capsys
):
    monkeypatch.setattr(
        predict, "_predictor", lambda arguments: PosePredictor(TwoPeople("coco_wholebody_hand"))
    )
    assert main(["predict", str(clip), "--lift", lifter]) == 2
    err = capsys.readouterr().err
    assert "was trained for the skeleton 'h36m', the poses are of 'coco_wholebody_hand'" in err
    assert "mapping={'root': (...), " in err
    assert "--lift-mapping" in err
    first = Skeleton.load("coco_wholebody_hand").keypoints[0]
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({name: [first] for name in Skeleton.load("h36m").keypoints}))
    assert main(["predict", str(clip), "--lift", lifter, "--lift-mapping", str(mapping)]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CLIP", "--lift", "movenet_lightning_coco"], "movenet_lightning_coco"),
        (["PHOTO", "CLIP", "--lift", "LIFTER"], "jump.jpg is none"),
        (["0", "--lift", "LIFTER"], "webcam 0 is none"),
        (["CLIP", "--lift-mapping", "mapping.json"], "name it with --lift"),
        (["CLIP", "--lift", "LIFTER", "--lift-mapping", "none.json"], "no mapping file none.json"),
        (["CLIP", "--lift", "LIFTER", "--lift-mapping", "PHOTO"], "is not JSON"),
        (["CLIP", "--lift", "LIFTER", "--lift-mapping", "LIST"], "must be {"),
    ],
)
def test_what_cannot_be_lifted_is_said(quick, clip, lifter, tmp_path, capsys, words, message):
    (tmp_path / "list.json").write_text("[1]")
    names = {
        "CLIP": str(clip),
        "LIFTER": lifter,
        "PHOTO": str(PRESETS / "samples/jump.jpg"),
        "LIST": str(tmp_path / "list.json"),
    }
    assert main(["predict", *[names.get(word, word) for word in words]]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (len(captured.err.splitlines()), captured.out) == (1, "")


def tracked(frames):
    """Results whose people are numbered as listed, each a 3D pose of its own."""
    return [
        PoseResult(
            np.full((len(ids), 17, 3), 0.1) * np.array(ids).reshape(-1, 1, 1),
            np.ones((len(ids), 17)),
            "h36m",
            track_ids=np.array(ids, int),
        )
        for ids in frames
    ]


def test_places_of_the_view_are_given_to_others_when_somebody_left():
    view = SpaceView(tracked([[1, 2], [2], [2, 3], []]))
    assert view._places == {1: 0, 2: 1, 3: 0}
    picture = np.zeros((100, 200, 3), np.uint8)
    assert all(view.beside(picture, frame).shape == (100, 250, 3) for frame in range(4))


def test_of_many_people_six_are_drawn():
    view = SpaceView(tracked([list(range(1, 10))]))
    assert view.beside(np.zeros((90, 120, 3), np.uint8), 0).shape == (90, 120 + 60, 3)


def test_remarks_count_where_there_are_many():
    lifting = SimpleNamespace(lifter=SimpleNamespace(frames=4))
    film = tracked([list(range(1, 7)), list(range(1, 7))])
    (remark,) = VideoLifting.remarks(lifting, film)
    assert remark.startswith("6 tracks (2 to 2 frames long): less than the 4 frames")
