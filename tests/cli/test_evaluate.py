"""`keras-pose evaluate` with a tiny model."""

import json

import cv2
import keras
import numpy as np
import pytest

from keras_pose import Skeleton, TopdownEstimator
from keras_pose.cli import main
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead

pytest.importorskip("tensorflow", reason="the evaluation batches are a tf.data pipeline")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    inputs = keras.Input((None, None, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(8, 4, strides=4)(inputs))
    codec = MSRAHeatmap((32, 32), (8, 8))
    head = HeatmapHead(17, codec, deconv_filters=(), deconv_kernels=())
    estimator = TopdownEstimator(
        backbone, head, skeleton=Skeleton.load("coco"), input_size=(32, 32)
    )
    return str(estimator.save_to_preset(tmp_path_factory.mktemp("preset") / "tiny"))


@pytest.fixture
def people(tmp_path):
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), rng.integers(0, 255, (60, 80, 3), np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "width": 80, "height": 60})
        points = np.c_[rng.uniform(10, 50, (17, 2)), np.full(17, 2)]
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [5, 5, 50, 50],
                "area": 1500,
                "iscrowd": 0,
                "num_keypoints": 17,
                "keypoints": points.ravel().tolist(),
            }
        )
    names = list(Skeleton.load("coco").keypoints)
    category = {"id": 1, "name": "person", "keypoints": names}
    truth = {"images": images, "annotations": annotations, "categories": [category]}
    path = tmp_path / "val.json"
    path.write_text(json.dumps(truth))
    return path


def test_metrics_results_and_the_worst_images(preset, people, tmp_path, capsys):
    out, page = tmp_path / "results.json", tmp_path / "worst.png"
    assert main(["evaluate", preset, str(people), "--out", str(out), "--worst", str(page)]) == 0
    printed = capsys.readouterr().out
    for text in ("AP ", "boxes: ground truth", "mean OKS", "left_ankle", "medium         2"):
        assert text in printed, text
    document = json.loads(out.read_text())
    assert document["protocol"]["images"] == 2
    assert document["by_size"]["medium"]["objects"] == 2
    assert [pose["image_id"] for pose in document["poses"]] == [1, 2]
    assert cv2.imread(str(page)) is not None


def test_boxes_of_a_file_and_images_without_any(preset, people, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    row = {"image_id": 2, "category_id": 1, "bbox": [5, 5, 50, 50], "score": 0.9}
    boxes.write_text(json.dumps([row]))
    assert main(["evaluate", preset, str(people), "--boxes", str(boxes)]) == 0
    printed = capsys.readouterr().out
    assert "boxes: boxes.json" in printed
    assert "1 of 2 images with objects have no prediction, such as image 1" in printed


def test_a_chosen_metric(preset, people, capsys):
    assert main(["evaluate", preset, str(people), "--metric", "epe"]) == 0
    assert "EPE" in capsys.readouterr().out


def test_an_unknown_metric_is_named(preset, people, capsys):
    assert main(["evaluate", preset, str(people), "--metric", "pkc"]) == 2
    assert "unknown metric 'pkc'; did you mean pck" in capsys.readouterr().err


def test_results_are_judged_without_a_model(preset, people, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["evaluate", preset, str(people), "--out", str(out), "--metric", "epe"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    for order in ([str(out), str(people)], [str(people), str(out)]):
        assert main(["evaluate", "--results", *order, "--metric", "epe"]) == 0
        assert capsys.readouterr().out.splitlines()[0] == first


def test_results_are_ranked_and_suppressed_as_asked(people, tmp_path, capsys):
    truth = json.loads(people.read_text())
    points = truth["annotations"][0]["keypoints"]
    results = [
        {"image_id": 1, "category_id": 1, "keypoints": points, "score": score}
        for score in (0.9, 0.8)
    ]
    (tmp_path / "results.json").write_text(json.dumps(results))
    command = ["evaluate", "--results", str(tmp_path / "results.json"), str(people)]
    assert main([*command, "--nms", "oks_nms", "--out", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    assert "score: result's own score" in printed and "pose NMS: OKS 0.9" in printed
    assert "1 of 2 images with objects have no prediction, such as image 2" in printed
    assert len(json.loads((tmp_path / "out.json").read_text())["poses"]) == 1
    assert main([*command, "--score", "keypoint", "--worst", str(tmp_path / "worst.png")]) == 0
    assert "score: mean keypoint score" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "worst.png")) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--score", "best"], "score must be one of"),
        (["--nms", "hard"], "nms must be one of"),
        (["--metric", "pckh"], "heads' sizes"),
        (["--metric", "posetrack18"], "PoseTrack18's metric needs head boxes: 2 of 2"),
        (["--metric", "crowdpose"], "needs the crowdIndex of images: 2 of 2"),
        (["--metric", "pck"], "results that have annotation_id"),
        (["--flip-test"], "--flip-test is for models"),
        (["--nms", "oks_nms", "--nms-threshold", "3"], "must be in 0..1, got 3.0"),
        (["--worst", "worst.txt"], "end its name in .png, got worst.txt"),
        (["--out", "/proc/none/out.json"], "cannot write into the folder /proc/none: No such"),
    ],
)
def test_what_cannot_be_measured_is_named(people, tmp_path, capsys, options, message):
    (tmp_path / "results.json").write_text("[]")
    command = ["evaluate", "--results", str(tmp_path / "results.json"), str(people)]
    assert main([*command, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (3, "results[0] must be a dict with image_id, keypoints and score, got 3"),
        ({"image_id": 9}, "results[0] is of image 9, which val.json does not have"),
        ({"keypoints": [1, 2]}, "results[0] has 2 keypoint numbers, skeleton 'coco' has 51"),
        ({"keypoints": ["a"] * 51}, "results[0] has a 'keypoints' that is no number"),
        ({"score": "a"}, "results[0] has a 'score' that is no number: 'a'"),
        ({"annotation_id": 9}, "predictions are of object 9, which val.json does not have"),
    ],
)
def test_results_that_are_none_are_named(people, tmp_path, capsys, changes, message):
    row = json.loads(people.read_text())["annotations"][0] | {"score": 1.0}
    rows = [3] if changes == 3 else [row | changes]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    command = ["evaluate", "--results", str(tmp_path / "results.json"), str(people)]
    assert main([*command, "--metric", "ap"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_boxes_that_are_none_are_named(preset, people, tmp_path, capsys):
    box = {"image_id": 1, "bbox": [1, 2, 3], "score": 0.9}
    (tmp_path / "boxes.json").write_text(json.dumps([box]))
    boxes = ["--boxes", str(tmp_path / "boxes.json")]
    assert main(["evaluate", preset, str(people), *boxes]) == 2
    assert "boxes[0] must be a dict with image_id, bbox (x, y, width" in capsys.readouterr().err


def test_areas_that_were_made_of_boxes_are_said(people, tmp_path, capsys):
    truth = json.loads(people.read_text())
    results = [row | {"score": 1.0} for row in truth["annotations"]]
    (tmp_path / "results.json").write_text(json.dumps(results))
    command = ["evaluate", "--results", str(tmp_path / "results.json"), str(people)]
    assert main(command) == 0
    assert "areas" not in capsys.readouterr().out
    for row in truth["annotations"][:1]:
        del row["area"]
    people.write_text(json.dumps(truth))
    assert main(command) == 0
    assert "areas of 1 of 2 objects: 0.53 of the boxes" in capsys.readouterr().out
