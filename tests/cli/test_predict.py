"""`keras-pose predict`, once with the real models, else with a quick stand-in for them."""

import json
import shutil

import cv2
import numpy as np
import pytest

from keras_pose.cli import main, predict
from keras_pose.paths import PRESETS
from keras_pose.predictor import PosePredictor
from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton

SAMPLES = PRESETS / "samples"
JUMP = str(SAMPLES / "jump.jpg")


class Estimator:
    """Answers with a cross inside each box."""

    skeleton = output_skeleton = Skeleton.load("coco")

    def predict_poses(self, images, boxes, box_scores=None, flip_test=False, batch_size=16):
        from keras_pose.geometry import validate_boxes

        results = []
        for index, image in enumerate(images):
            size = image.shape[1::-1]
            mine = validate_boxes(boxes[index], "boxes", size)
            keypoints = np.linspace(mine[:, :2], mine[:, 2:], 17, axis=1)
            scores = np.full((len(mine), 17), 0.5)
            own_scores = None if box_scores is None else box_scores[index]
            results.append(PoseResult(keypoints, scores, "coco", mine, own_scores, image_size=size))
        return results


@pytest.fixture
def quick(monkeypatch):
    """Replaces the models: one person in the left half of each image."""

    def predictor(arguments):
        return PosePredictor(
            Estimator(), lambda im: ([[0, 0, im.shape[1] / 2, im.shape[0]]], [0.8])
        )

    monkeypatch.setattr(predict, "_predictor", predictor)


@pytest.fixture
def clip(tmp_path):
    pytest.importorskip("av")
    from keras_pose.video import VideoWriter

    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=10) as video:
        for index in range(10):
            video.write(np.full((48, 64, 3), 10 * index, np.uint8))
    return path


def test_real_models_find_the_people_of_the_samples(tmp_path, capsys):
    pytest.importorskip("av")
    photos = [str(SAMPLES / name) for name in ("park.jpg", "jump.jpg")]
    video = ["--max-frames", "2", str(SAMPLES / "walk.mp4")]
    outputs = ["--out", str(tmp_path), "--json", str(tmp_path / "poses.json")]
    assert main(["predict", *photos, *video, *outputs]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["file", "people", "score", "ms"]
    assert [line.split()[-3] for line in table[1:]] == ["2", "1", "2.0"]
    assert cv2.imread(str(tmp_path / "park_pose.png")).shape == (640, 720, 3)
    assert (tmp_path / "walk_pose.mp4").stat().st_size > 1000
    rows = json.loads((tmp_path / "poses.json").read_text())
    sure = [row for row in rows if row["score"] > 0.2]
    assert [row["image_id"] for row in sure] == [1, 1, 2, 3, 3, 4, 4]
    head = np.array(sure[2]["keypoints"]).reshape(17, 3)[0]
    np.testing.assert_allclose(head[:2], [303, 95], atol=12)  # the jumping man's nose


def test_coco_json_takes_image_ids_from_numeric_names(quick, tmp_path):
    for name in ("000000000139.jpg", "000000000042.jpg"):
        shutil.copy(JUMP, tmp_path / name)
    assert main(["predict", str(tmp_path), "--json", str(tmp_path / "poses.json")]) == 0
    rows = json.loads((tmp_path / "poses.json").read_text())
    assert [row["image_id"] for row in rows] == [42, 139]
    assert rows[0]["category_id"] == 1
    assert len(rows[0]["keypoints"]) == 51
    assert rows[0]["bbox"] == [0, 0, 330, 594]
    assert rows[0]["score"] == pytest.approx(0.4)


def test_images_json_reads_back_as_results(quick, tmp_path, clip):
    path = tmp_path / "new" / "poses.json"
    options = ["--json", str(path), "--json-format", "images"]
    assert main(["predict", JUMP, str(clip), *options]) == 0
    data = json.loads(path.read_text())
    assert (data["estimator"], data["threshold"]) == ("movenet_lightning_coco", 0.1)
    assert [entry.get("frame") for entry in data["images"]] == [None, *range(10)]
    result = PoseResult.from_dict(data["images"][0], skeleton=data["skeleton"])
    assert (len(result), result.image_size) == (1, (660, 594))


def test_drawings_never_replace_inputs_or_each_other(quick, tmp_path):
    for name in ("a.jpg", "a.png", "a_pose.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 30, 3), np.uint8))
    before = (tmp_path / "a_pose.png").read_bytes()
    assert main(["predict", str(tmp_path), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "a_pose.png").read_bytes() == before
    names = {path.name for path in tmp_path.iterdir()} - {"a.jpg", "a.png", "a_pose.png"}
    assert names == {"a_pose_2.png", "a_pose_3.png", "a_pose_pose.png"}


def test_video_is_drawn_and_listed_with_its_frames(quick, tmp_path, clip, capsys):
    assert main(["predict", str(clip), "--out", str(tmp_path / "out")]) == 0
    assert "clip.mp4 (10 frames)     1.0   0.50" in capsys.readouterr().out
    from keras_pose.video import VideoReader

    with VideoReader(tmp_path / "out" / "clip_pose.mp4") as video:
        assert (sum(1 for _ in video), video.fps) == (10, 10.0)


def test_max_frames_stops_a_video(quick, tmp_path, clip, capsys):
    assert main(["predict", str(clip), "--max-frames", "3"]) == 0
    assert "(3 frames)" in capsys.readouterr().out


def test_broken_video_keeps_what_was_read(quick, tmp_path, capsys):
    pytest.importorskip("av")
    data = (SAMPLES / "walk.mp4").read_bytes()
    (tmp_path / "broken.mp4").write_bytes(data[: len(data) // 2])
    assert main(["predict", str(tmp_path / "broken.mp4"), "--out", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "broken.mp4 is damaged" in captured.err
    assert "broken.mp4 (" in captured.out
    from keras_pose.video import VideoReader

    with VideoReader(tmp_path / "broken_pose.mp4") as video:
        assert sum(1 for _ in video) > 5


def test_bad_photos_are_reported_and_the_others_go_on(quick, tmp_path, capsys):
    shutil.copy(JUMP, tmp_path / "good.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes((SAMPLES / "jump.jpg").read_bytes()[:20000])
    (tmp_path / "text.png").write_text("no picture")
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path), "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert "good.jpg" in captured.out
    assert [name in captured.err for name in ("empty.jpg", "cut.jpg", "text.png")] == [True] * 3
    assert len(captured.err.splitlines()) == 4  # a sentence each, and where the drawings are
    assert [path.name for path in out.iterdir()] == ["good_pose.png"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.jpg", "there is no file or folder nowhere.jpg"),
        ("*.nothing", "no photo or video matches *.nothing"),
        ("EMPTY", "holds no photo or video"),
        ("97", "webcam 97 cannot be opened"),
        ("TEXT", "is not a video"),
    ],
)
def test_nothing_done_is_exit_code_2(quick, tmp_path, capsys, source, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    source = {"EMPTY": str(tmp_path / "empty"), "TEXT": str(tmp_path / "text.mp4")}.get(
        source, source
    )
    assert main(["predict", source]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (len(captured.err.splitlines()), captured.out) == (1, "")


def test_one_missing_source_of_two_is_exit_code_1(quick, capsys):
    assert main(["predict", JUMP, "nowhere.jpg"]) == 1
    assert "jump.jpg" in capsys.readouterr().out


def test_zero_people_are_a_result(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        predict, "_predictor", lambda arguments: PosePredictor(Estimator(), lambda image: [])
    )
    json_path = tmp_path / "poses.json"
    assert main(["predict", JUMP, "--out", str(tmp_path), "--json", str(json_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-3:-1] == ["0", "-"]
    assert json.loads(json_path.read_text()) == []
    drawn = cv2.imread(str(tmp_path / "jump_pose.png"))
    np.testing.assert_array_equal(drawn, cv2.imread(JUMP))


@pytest.mark.parametrize("option", [["--out", "FILE/out"], ["--json", "FILE/x.json"]])
def test_unwritable_output_is_found_before_computing(monkeypatch, tmp_path, capsys, option):
    def fail(arguments):
        raise AssertionError("the models were loaded")

    monkeypatch.setattr(predict, "_predictor", fail)
    (tmp_path / "file").touch()
    option = [word.replace("FILE", str(tmp_path / "file")) for word in option]
    assert main(["predict", JUMP, *option]) == 2
    captured = capsys.readouterr()
    assert "cannot write into the folder" in captured.err
    assert len(captured.err.splitlines()) == 1


def test_json_path_that_is_a_folder_is_refused(quick, tmp_path, capsys):
    assert main(["predict", JUMP, "--json", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_video_without_pyav_names_the_extra(quick, monkeypatch, tmp_path, clip, capsys):
    monkeypatch.setattr("keras_pose.cli.predict.can_write_video", lambda: False)
    assert main(["predict", str(clip), "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'keras-pose[video]'" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--preset", "--detector"])
def test_unknown_preset_suggests_the_nearest(capsys, option):
    name = {"--preset": "movenet_lightning", "--detector": "centernet_mobilenet"}[option]
    assert main(["predict", JUMP, option, name]) == 2
    captured = capsys.readouterr()
    assert f'there is no preset "{name}"; did you mean "{name}_' in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("option", ["--preset", "--detector"])
def test_preset_of_another_kind_is_refused(capsys, option):
    name = {
        "--preset": "centernet_mobilenet_v3_coco",
        "--detector": "movenet_lightning_coco",
    }[option]
    assert main(["predict", JUMP, option, name]) == 2
    assert "not a" in capsys.readouterr().err


def test_a_bottom_up_preset_needs_no_detector(tmp_path, capsys):
    path = tmp_path / "poses.json"
    options = ["--preset", "movenet_multipose_coco", "--json", str(path), "--json-format", "images"]
    assert main(["predict", str(SAMPLES / "park.jpg"), *options]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "2"
    data = json.loads(path.read_text())
    assert (data["estimator"], data["detector"]) == ("movenet_multipose_coco", "none")


@pytest.mark.parametrize("option", ["--detector", "--boxes"])
def test_a_bottom_up_preset_refuses_boxes(tmp_path, capsys, option):
    (tmp_path / "boxes.json").write_text('{"jump.jpg": [[0, 0, 10, 10]]}')
    value = {
        "--detector": "centernet_mobilenet_v3_coco",
        "--boxes": str(tmp_path / "boxes.json"),
    }[option]
    assert main(["predict", JUMP, "--preset", "movenet_multipose_coco", option, value]) == 2
    assert "finds the people itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--threshold", "2"], ["--batch-size", "0"], ["--threshold", "x"], ["--nonsense"]]
)
def test_wrong_options_are_exit_code_2(capsys, option):
    with pytest.raises(SystemExit) as exit_:
        main(["predict", JUMP, *option])
    assert exit_.value.code == 2


def test_another_backend_than_the_loaded_one_is_refused(quick, capsys, backend):
    other = "torch" if backend != "torch" else "jax"
    assert main(["predict", JUMP, "--backend", other]) == 2
    assert f"KERAS_BACKEND={other}" in capsys.readouterr().err


class TestBoxes:
    """`--boxes` in its three forms, and what can be wrong with them."""

    @pytest.fixture
    def predicted(self, quick, tmp_path, capsys):
        def run(document, photo=JUMP):
            path = tmp_path / "boxes.json"
            path.write_text(document if isinstance(document, str) else json.dumps(document))
            poses = tmp_path / "poses.json"
            options = ["--boxes", str(path), "--json", str(poses)]
            code = main(["predict", str(photo), *options])
            rows = json.loads(poses.read_text()) if poses.exists() else []
            return code, [row["bbox"] for row in rows], capsys.readouterr().err

        return run

    def test_names_and_boxes(self, predicted):
        code, boxes, _ = predicted({"jump.jpg": [[10, 20, 30, 60], [0, 0, 5, 5]]})
        assert (code, boxes) == (0, [[10, 20, 20, 40], [0, 0, 5, 5]])

    def test_scores(self, predicted, tmp_path):
        predicted({"jump.jpg": [[10, 20, 30, 60, 0.5]]})
        (row,) = json.loads((tmp_path / "poses.json").read_text())
        assert row["score"] == pytest.approx(0.25)

    def test_coco_annotations(self, predicted):
        document = {
            "images": [{"id": 7, "file_name": "folder/jump.jpg"}],
            "annotations": [{"image_id": 7, "bbox": [10, 20, 20, 40]}],
        }
        assert predicted(document)[:2] == (0, [[10, 20, 20, 40]])

    def test_coco_results(self, predicted, tmp_path):
        photo = tmp_path / "000000000139.jpg"
        shutil.copy(JUMP, photo)
        document = [{"image_id": 139, "bbox": [10, 20, 20, 40], "score": 0.9}]
        assert predicted(document, photo)[:2] == (0, [[10, 20, 20, 40]])

    def test_empty_list_is_nobody(self, predicted):
        assert predicted({"jump.jpg": []})[:2] == (0, [])

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([[10, 20, 10, 60]], "boxes[0]"),
            ([[0, 0, 5, 5], [5000, 20, 5010, 60]], "boxes[1]"),
            ([[float("nan"), 20, 30, 60]], "boxes[0]"),
            ([[1, 2, 3]], "lists of 4 numbers"),
            ([["a", 2, 3, 4]], "must be numbers"),
        ],
    )
    def test_bad_boxes_are_named_with_their_photo(self, predicted, rows, message):
        code, _, err = predicted({"jump.jpg": rows})
        assert code == 2
        assert message in err
        assert "jump.jpg" in err
        assert len(err.splitlines()) == 1

    def test_bad_boxes_of_one_photo_leave_the_others(self, predicted, tmp_path):
        for name in ("a.jpg", "b.jpg"):
            shutil.copy(JUMP, tmp_path / name)
        rows = {"a.jpg": [[0, 0, 0, 0]], "b.jpg": [[10, 20, 30, 60]]}
        code, boxes, err = predicted(rows, tmp_path)
        assert (code, boxes) == (1, [[10, 20, 20, 40]])
        assert "a.jpg" in err

    def test_photo_that_the_file_does_not_know(self, predicted):
        code, _, err = predicted({"other.jpg": []})
        assert code == 2
        assert "has no boxes for it" in err

    @pytest.mark.parametrize("document", ["{", "3", '{"a.jpg": 5}', '[{"bbox": 1}]'])
    def test_other_files_are_refused(self, predicted, document):
        code, _, err = predicted(document)
        assert code == 2
        assert "boxes file" in err
        assert len(err.splitlines()) == 1

    def test_missing_file(self, quick, capsys):
        assert main(["predict", JUMP, "--boxes", "nowhere.json"]) == 2
        assert "there is no boxes file nowhere.json" in capsys.readouterr().err

    def test_videos_have_no_boxes(self, predicted, clip):
        code, _, err = predicted({"clip.mp4": []}, clip)
        assert code == 2
        assert "for photos only" in err


def test_stopped_video_is_finished_up_to_there(monkeypatch, tmp_path, clip, capsys):
    class Stopping(Estimator):
        def predict_poses(self, images, *arguments, **options):
            if images[0].mean() > 60:  # frame 8
                raise KeyboardInterrupt
            return super().predict_poses(images, *arguments, **options)

    monkeypatch.setattr(
        predict, "_predictor", lambda arguments: PosePredictor(Stopping(), lambda image: [])
    )
    assert main(["predict", str(clip), "--out", str(tmp_path / "out")]) == 130
    assert "(8 frames)" in capsys.readouterr().out
    from keras_pose.video import VideoReader

    with VideoReader(tmp_path / "out" / "clip_pose.mp4") as video:
        assert sum(1 for _ in video) == 8


def test_doubtful_people_are_in_the_json_but_not_drawn_nor_counted(monkeypatch, tmp_path, capsys):
    boxes, scores = [[0, 0, 100, 400], [300, 0, 500, 400]], [0.8, 0.2]
    monkeypatch.setattr(
        predict,
        "_predictor",
        lambda arguments: PosePredictor(Estimator(), lambda im: (boxes, scores)),
    )
    path = tmp_path / "poses.json"
    assert main(["predict", JUMP, "--json", str(path), "--out", str(tmp_path)]) == 0
    assert len(json.loads(path.read_text())) == 2
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "1"
    photo, drawn = (cv2.imread(str(p)) for p in (JUMP, tmp_path / "jump_pose.png"))
    assert (photo[:, :100] != drawn[:, :100]).any()
    np.testing.assert_array_equal(photo[:, 310:490], drawn[:, 310:490])
