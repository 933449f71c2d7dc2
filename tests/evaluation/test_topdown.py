"""Evaluation of estimators, by function and while they train."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pose import TopdownEstimator
from keras_pose.codecs import MSRAHeatmap
from keras_pose.datasets import KeypointDataset, topdown_dataset
from keras_pose.evaluation import (
    KeypointEvaluation,
    PartitionMetric,
    PoseSelection,
    evaluate_bottomup,
    evaluate_results,
    evaluate_topdown,
)
from keras_pose.geometry import apply_affine, invert_affine
from keras_pose.heads import HeatmapHead
from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton

pytest.importorskip("tensorflow", reason="the evaluation batches are a tf.data pipeline")

SQUARE = Skeleton("square", ["a", "b", "c", "d"])
IMAGES = 5


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    """One plain picture per person, grey 40, 80, ..., and one without anybody."""
    import cv2

    folder = tmp_path_factory.mktemp("images")
    for number in range(1, IMAGES + 2):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((120, 160, 3), 40 * number, np.uint8))
    return folder


def make_dataset(folder, skeleton):
    """`IMAGES` labelled people, and one region that is ignored."""
    rng = np.random.default_rng(0)
    count = skeleton.num_keypoints
    images, annotations = [], []
    for number in range(1, IMAGES + 2):
        images.append(
            {"id": 10 * number, "file_name": f"{number}.png", "width": 160, "height": 120}
        )
    for number in range(1, IMAGES + 1):
        points = np.c_[rng.uniform([35, 25], [115, 95], (count, 2)), np.full(count, 2)]
        annotations.append(
            {
                "id": 7 * number,
                "image_id": 10 * number,
                "category_id": 3,
                "bbox": [30, 20, 90, 80],
                "area": 90 * 80 * 0.6,
                "iscrowd": 0,
                "keypoints": points.ravel().tolist(),
                "num_keypoints": count,
            }
        )
    annotations.append(annotations[0] | {"id": 1, "iscrowd": 1, "image_id": 60})
    category = {"id": 3, "name": "being", "keypoints": list(skeleton.keypoints)}
    truth = {"images": images, "annotations": annotations, "categories": [category]}
    return KeypointDataset.from_coco(truth, folder, skeleton=skeleton, name="beings")


@pytest.fixture
def people(image_folder):
    return make_dataset(image_folder, Skeleton.load("coco"))


@pytest.fixture
def squares(image_folder):
    return make_dataset(image_folder, SQUARE)


class Oracle(keras.Model):
    """Knows the poses of the pictures by their grey; stands in for an estimator.

    Args:
        error: pixels of the image by which it is wrong.
        lost: persons for whom it says NaN.
    """

    input_size = (48, 64)
    box_padding = 1.25
    udp = False

    def __init__(self, dataset, error=0.0, lost=()):
        super().__init__()
        self.dataset, self.error, self.lost = dataset, error, lost
        self.skeleton = dataset.skeleton
        self.flips, self.sizes = [], []
        batches = topdown_dataset(dataset, self, batch_size=IMAGES)
        self.affine = np.asarray(next(iter(batches))[1]["affine"])

    def predict_on_batch(self, images, flip_test=False):
        self.flips.append(flip_test)
        self.sizes.append(len(images))
        persons = np.clip(images[:, 32, 24, 0] // 40, 1, IMAGES) - 1
        truth = self.dataset.keypoints[persons] + [self.error, 0]
        keypoints = apply_affine(invert_affine(self.affine[persons]), truth)
        keypoints[np.isin(persons, self.lost)] = np.nan
        scores = np.full(keypoints.shape[:2], 0.5, np.float32)
        return {"keypoints": keypoints[:, None], "scores": scores[:, None]}

    def predict_poses(self, images, boxes=None, box_scores=None, flip_test=False, batch_size=16):
        """As an estimator does: everybody at the place of the annotated person of the picture."""
        results = []
        for image, own, scores in zip(images, boxes, box_scores, strict=True):
            person = np.clip(image[0, 0, 0] // 40, 1, IMAGES) - 1
            count = len(own)
            results.append(
                PoseResult(
                    np.repeat(self.dataset.keypoints[[person]], count, axis=0),
                    np.full((count, self.skeleton.num_keypoints), 0.5),
                    self.skeleton,
                    boxes=own,
                    box_scores=scores,
                )
            )
        return results


def tiny_estimator(skeleton):
    inputs = keras.Input((None, None, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(8, 4, strides=4)(inputs))
    codec = MSRAHeatmap((32, 32), (8, 8))
    head = HeatmapHead(skeleton.num_keypoints, codec, deconv_filters=(), deconv_kernels=())
    return TopdownEstimator(backbone, head, skeleton=skeleton, input_size=(32, 32))


def test_exact_poses_score_one_and_the_protocol_says_how(people):
    result = evaluate_topdown(Oracle(people), people, batch_size=2, split="val")
    assert result["AP"] == 1
    protocol = result.protocol
    assert (protocol.dataset, protocol.split) == ("beings", "val")
    assert (protocol.images, protocol.people) == (IMAGES + 1, IMAGES)
    assert (protocol.boxes, protocol.box_padding) == ("ground truth", 1.25)
    assert protocol.engine
    assert not result.notes


def test_the_last_batch_is_filled_up(people):
    oracle = Oracle(people)
    evaluate_topdown(oracle, people, batch_size=2)
    assert oracle.sizes == [2, 2, 2]


def test_flip_test_reaches_the_estimator(people):
    oracle = Oracle(people)
    result = evaluate_topdown(oracle, people, flip_test=True)
    assert oracle.flips == [True]
    assert result.protocol.flip_test


def test_wrong_poses_score_less(people):
    exact, wrong = (evaluate_topdown(Oracle(people, error=e), people)["AP"] for e in (0, 8))
    assert wrong < exact


def test_predictions_that_are_not_finite_are_missed_and_reported(people):
    result = evaluate_topdown(Oracle(people, lost=[1]), people)
    assert result["AR"] == pytest.approx((IMAGES - 1) / IMAGES)
    assert result.notes == ("1 of 5 predictions are not finite and count as missed",)


def test_a_skeleton_without_sigmas_is_judged_by_pck_and_pixels(squares):
    result = evaluate_topdown(Oracle(squares, error=6.0), squares)
    # 6 px are 0.067 of the longer box side, 90 px
    assert result["PCK@0.05"] == 0
    assert result["PCK@0.1"] == 1
    assert result["error_px"] == pytest.approx(6, abs=1e-3)
    assert "longer box side" in str(result)


def test_boxes_of_a_detector(people):
    def detector(image):
        return np.array([[20, 10, 120, 110], [30, 20, 110, 100]]), np.array([0.9, 0.4])

    result = evaluate_topdown(
        Oracle(people), people, boxes=detector, score="bbox_keypoint", boxes_name="finder"
    )
    # The better box of a picture is right; worse ones and those in ignored regions add nothing.
    assert result["AP"] == 1
    assert result.protocol.boxes == "finder (score >= 0.1)"
    assert result.protocol.score == "box score x mean of the keypoint scores above 0.2"


def test_boxes_from_a_file(people, tmp_path):
    boxes = [
        {"image_id": 10 * number, "bbox": [30, 20, 90, 80], "score": score}
        for number, score in ((1, 0.9), (2, 0.8), (3, 0.05))
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    result = evaluate_topdown(Oracle(people), people, boxes=tmp_path / "boxes.json")
    assert result["AR"] == pytest.approx(2 / IMAGES)
    assert result.protocol.boxes == "boxes.json (score >= 0.1)"


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([{"image_id": 10}], r"boxes\[0\] must be a dict with image_id, bbox"),
        ([{"image_id": 11, "bbox": [0, 0, 1, 1], "score": 1}], r"boxes\[0\] is of image 11"),
    ],
)
def test_bad_boxes_are_named(people, boxes, message):
    with pytest.raises(ValueError, match=message):
        evaluate_topdown(Oracle(people), people, boxes=boxes)


def test_pck_needs_annotated_boxes(squares):
    with pytest.raises(ValueError, match="has no sigmas"):
        evaluate_topdown(Oracle(squares), squares, boxes=[])


def test_an_unknown_score_rule_is_refused(people):
    with pytest.raises(ValueError, match="score must be one of"):
        evaluate_topdown(None, people, score="best")
    with pytest.raises(ValueError, match="score must be one of"):
        KeypointEvaluation(people, score="best")


def test_callback_gives_the_numbers_of_the_function(people, capsys):
    oracle, callback, logs = Oracle(people, error=3.0), KeypointEvaluation(people), {}
    callback.set_model(oracle)
    callback.on_epoch_end(0, logs)
    expected = evaluate_topdown(oracle, people)
    assert callback.result == expected
    assert logs == {f"coco/{name}": value for name, value in expected.metrics.items()}
    assert str(expected) in capsys.readouterr().out


def test_own_batches_are_used(people):
    half = topdown_dataset(people[:2], Oracle(people), batch_size=2)
    callback = KeypointEvaluation(people, batches=half, verbose=0)
    assert callback.evaluate(Oracle(people))["AR"] == pytest.approx(2 / IMAGES)


def test_batches_without_what_evaluation_needs_are_refused(people):
    callback = KeypointEvaluation(people, batches=[(np.zeros((1, 64, 48, 3)), {"ids": [1]})])
    with pytest.raises(ValueError, match=r"\['affine', 'image_ids'\] are missing"):
        callback.evaluate(Oracle(people))


def test_batches_of_other_objects_are_refused(people):
    others = topdown_dataset(people[3:], Oracle(people), batch_size=2)
    callback = KeypointEvaluation(people[:3], batches=others)
    with pytest.raises(ValueError, match=r"predictions are of object (28|35), which beings"):
        callback.evaluate(Oracle(people))


def test_only_the_categories_of_the_data_set_count(people):
    truth = people.annotations
    other = truth["annotations"][0] | {"id": 99, "category_id": 4, "keypoints": [5.0, 5.0, 2.0] * 3}
    truth["annotations"].append(other)
    truth["categories"].append({"id": 4, "name": "other", "keypoints": ["x", "y", "z"]})
    assert evaluate_topdown(Oracle(people), people)["AP"] == 1


def test_empty_batches_are_refused(people):
    with pytest.raises(ValueError, match="batches are empty"):
        KeypointEvaluation(people, batches=[]).evaluate(Oracle(people))


def test_in_fit_before_a_checkpoint(people, tmp_path):
    estimator = tiny_estimator(people.skeleton)
    estimator.compile(optimizer=keras.optimizers.Adam(1e-3))
    path = tmp_path / "best.weights.h5"
    history = estimator.fit(
        topdown_dataset(people, estimator, batch_size=IMAGES),
        epochs=2,
        verbose=0,
        callbacks=[
            KeypointEvaluation(people, verbose=0),
            keras.callbacks.ModelCheckpoint(
                path, monitor="coco/AP", save_best_only=True, save_weights_only=True
            ),
        ],
    )
    assert path.exists()
    assert len(history.history["coco/AP"]) == 2
    assert all(0 <= value <= 1 for value in history.history["coco/AP"])


def test_every_and_name(squares):
    callback = KeypointEvaluation(squares, every=2, name="squares", verbose=0)
    callback.set_model(Oracle(squares))
    logs = [{}, {}, {}]
    for epoch, own in enumerate(logs):
        callback.on_epoch_end(epoch, own)
    assert logs[0] == logs[2] == {}
    assert list(logs[1]) == [
        "squares/PCK@0.05", "squares/PCK@0.1", "squares/PCK@0.2", "squares/error_px"
    ]  # fmt: skip


def test_metrics_are_reported_together_with_their_protocol(people):
    result = evaluate_topdown(Oracle(people, error=8), people, metrics=["ap", "pck", "epe"])
    assert {"AP", "PCK@0.1", "EPE"} <= result.metrics.keys()
    assert result["EPE"] == pytest.approx(8, abs=1e-3) and result["PCK@0.1"] == 1
    assert result.per_keypoint["EPE"]["nose"] == pytest.approx(8, abs=1e-3)
    assert result.protocol.measure == "PCK of the longer box side; EPE in image pixels"
    assert result.protocol.engine and result.protocol.score == "mean keypoint score"


def test_ap_of_parts(people):
    parts = PartitionMetric("ap", {"face": range(5), "arms": ["left_wrist", "right_wrist"]})
    result = evaluate_topdown(Oracle(people), people, metrics=[parts])
    assert result["face/AP"] == 1 and result["arms/AP"] == 1


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["ap"], "AP needs sigmas"),
        (["pckh"], "heads' sizes"),
        ([], "at least one"),
        ("pck", "list"),
    ],
)
def test_metrics_that_cannot_be_measured_say_why(squares, metrics, message):
    with pytest.raises(ValueError, match=message):
        evaluate_topdown(Oracle(squares), squares, metrics=metrics)


def test_only_ap_takes_boxes_of_a_detector(people):
    with pytest.raises(ValueError, match="can only be measured with boxes='ground truth'"):
        evaluate_topdown(Oracle(people), people, boxes=[], metrics=["ap", "pck"])


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["pckh"], "heads' sizes"),
        (["crowdpose"], "needs the crowdIndex of images: 6 of 6"),
        (["posetrack18"], "needs head boxes: 6 of 6 annotations lack bbox_head"),
        (["wholebody"], "is of 133 keypoints, the sigmas are of 17"),
        ([{"name": "ap", "area": 1}], "metric 'ap' has other settings"),
        ([{"name": "crowdpose", "use_area": False}], "leave out use_area"),
    ],
)
def test_what_the_data_lack_is_said_before_anything_is_predicted(people, metrics, message):
    for evaluate in (evaluate_topdown, evaluate_bottomup):
        if evaluate is evaluate_topdown or metrics != ["pckh"]:
            with pytest.raises(ValueError, match=message):
                evaluate(None, people, metrics=metrics)
    with pytest.raises(ValueError, match=message):
        KeypointEvaluation(people, metrics=metrics)


def twice(image):
    return np.array([[30, 20, 120, 100], [31, 20, 121, 100]]), np.array([0.9, 0.4])


@pytest.mark.parametrize(
    ("nms", "count", "said"),
    [("none", 12, "none"), ("oks_nms", 6, "OKS 0.9"), ("soft_oks_nms", 12, "soft OKS 0.9")],
)
def test_double_poses_are_suppressed(people, nms, count, said):
    seen = []
    result = evaluate_topdown(
        Oracle(people), people, boxes=twice, score="bbox", nms=nms, observe=seen.append
    )
    assert result.protocol.nms == said and result.protocol.score == "box score"
    selection = PoseSelection("bbox", nms)
    assert len(seen[0].to_coco(selection, people.skeleton.sigmas)) == count


def test_areas_of_crops_are_those_of_padded_boxes(people):
    seen = []
    evaluate_topdown(Oracle(people), people, observe=seen.append)
    evaluate_topdown(Oracle(people), people, boxes=twice, observe=seen.append)
    # 90 x 80 pixels, padded by 1.25, in crops of 48 x 64
    np.testing.assert_allclose(seen[0].crop_areas, 112.5 * 150, rtol=1e-3)
    np.testing.assert_allclose(seen[1].crop_areas, 112.5 * 150, rtol=1e-3)


def results_of(people, rows, **changes):
    points = np.concatenate([people.keypoints, np.full((*people.keypoints.shape[:2], 1), 0.5)], -1)
    return [
        {
            "image_id": int(people.image_ids[row]),
            "category_id": 3,
            "keypoints": points[row].ravel().tolist(),
            "score": 0.9 - 0.1 * row,
            "annotation_id": int(people.ids[row]),
        }
        | changes
        for row in rows
    ]


def test_results_of_a_file_are_judged(people, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_of(people, range(5))))
    result = evaluate_results(path, people, metrics=["ap", "epe"])
    assert result["AP"] == 1 and result["EPE"] == pytest.approx(0, abs=1e-4)
    assert not result.notes
    assert result.protocol.boxes == "those of results.json"
    assert result.protocol.score == "result's own score"


def test_missing_images_and_objects_are_counted_and_named(people):
    result = evaluate_results(results_of(people, [0, 1, 3]), people, metrics=["ap", "epe"])
    assert result["AR"] == pytest.approx(3 / 5)
    assert result.notes == (
        "2 of 5 images with objects have no prediction, such as image 30, 50; their objects count "
        "as missed",
        "2 of 5 objects have no prediction, such as object 21, 35; they are not counted by metrics "
        "of keypoints",
    )
    assert evaluate_results([], people).notes[0].startswith("5 of 5 images")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 11}, r"results\[0\] is of image 11, which beings does not have"),
        ({"annotation_id": 99}, "are of object 99, which beings"),
        ({"keypoints": [1, 2, 3]}, r"results\[0\] has 3 keypoint numbers, .* has 51"),
        ({"category_id": 9}, "has category_id 9"),
    ],
)
def test_results_that_do_not_fit_are_refused(people, changes, message):
    with pytest.raises(ValueError, match=message):
        evaluate_results(results_of(people, [0], **changes), people)


def test_ids_that_some_results_lack_are_named(people):
    results = results_of(people, [0, 1])
    del results[1]["annotation_id"]
    with pytest.raises(ValueError, match=r"all have 'annotation_id' or none, .* got 1 of 2"):
        evaluate_results(results, people)
    del results[1]["image_id"]
    with pytest.raises(ValueError, match=r"results\[1\] has no 'image_id'"):
        evaluate_results(results, people)


class WholeImages(Oracle):
    """The same knowledge as a network that finds everybody by itself."""

    def predict_poses(self, images, threshold=0.1, flip_test=False, batch_size=8):
        from keras_pose.images import read_image

        images = [read_image(path) for path in images]
        scores = [np.array([0.7])] * len(images)
        boxes = [np.array([[30.0, 20.0, 120.0, 100.0]])] * len(images)
        return Oracle.predict_poses(self, images, boxes, scores)


def test_networks_without_boxes(people):
    result = evaluate_bottomup(WholeImages(people, error=1.0), people, threshold=0.2)
    assert result["AP"] > 0.9
    assert result.protocol.boxes == "none, whole images at 48x64 (score >= 0.2)"
    assert result.protocol.score == "instance score"


def test_the_callback_reports_chosen_metrics(squares):
    callback = KeypointEvaluation(squares, name="val", metrics=["nme_box", "pck"], verbose=0)
    callback.set_model(Oracle(squares, error=9))
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs["val/NME"] == pytest.approx(0.1, abs=1e-4)
    assert callback.direction("val/NME") == "min" and callback.direction("val/PCK@0.1") == "max"


def test_the_guide_runs(people, capsys, tmp_path, monkeypatch):
    guide = Path(__file__).resolve().parents[2] / "docs/evaluation.md"
    blocks = re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), flags=re.DOTALL)
    (tmp_path / "results.json").write_text(json.dumps(results_of(people, range(5))))
    monkeypatch.chdir(tmp_path)
    names = {"estimator": Oracle(people), "multipose": WholeImages(people), "people": people}
    for block in blocks:
        made = r"^(estimator|people|multipose) = .*$"
        exec(re.sub(made, "", block, flags=re.MULTILINE), names)
    printed = capsys.readouterr().out
    assert "AP 1.0000, PCK@0.05 1.0000" in printed and "\nnose" in printed
    assert "boxes: those of results.json" in printed and "boxes: none, whole images" in printed
