"""RTMO's loss and its bins on the reference's stored outputs of a whole head."""

import gzip
import importlib
import json

import numpy as np
import pytest
from keras import ops

import keras_pose.losses.rtmo
from keras_pose.codecs import RTMOCodec
from keras_pose.codecs.priors import decode_boxes, flattened, prior_points
from keras_pose.heads import RTMOHead
from keras_pose.heads.dynamic_coordinate_classifier import DynamicCoordinateClassifier
from keras_pose.losses import RTMOLoss
from keras_pose.losses.assignment import SimOTAAssigner
from keras_pose.losses.rtmo import likely_places

NAME = "rtmo-s_8xb32-600e_coco-640x640"
OBJECTS, KEYPOINTS, BINS = 3, 17, (192, 256)
MAPS = {"classes": "cls", "boxes": "bbox", "offsets": "kpt_offsets", "visibility": "kpt_vis"}
# Whether the second rules hold.
STAGES = {"": False, "stage2.": True}


@pytest.fixture(scope="module")
def folder(golden):
    return golden / "models_bottomup"


@pytest.fixture(scope="module")
def entry(folder):
    models = json.loads((folder / "index.json").read_text("utf-8"))["models"]
    return next(entry for entry in models if entry["config"] == NAME)


@pytest.fixture(scope="module")
def arrays(folder):
    return dict(np.load(folder / f"{NAME}.npz"))


@pytest.fixture(scope="module")
def outputs(arrays):
    """What the head put out, but pose vectors, of which only a part is stored."""
    outputs = {}
    for ours, theirs in MAPS.items():
        maps = [arrays[f"head.{theirs}.{i}"].transpose(0, 2, 3, 1) for i in (0, 1)]
        outputs[ours] = ops.convert_to_numpy(flattened(list(map(ops.convert_to_tensor, maps))))
    shapes = [arrays[f"head.cls.{i}"].shape[2:] for i in (0, 1)]
    priors = ops.convert_to_numpy(prior_points(shapes, (16, 32), centred=True))
    outputs["priors"] = np.stack([priors, priors])
    outputs["pose_vectors"] = np.zeros((2, len(priors), 1), "f4")
    return outputs


@pytest.fixture(scope="module")
def targets(arrays):
    names = {
        "keypoints": "keypoints",
        "visible": "keypoints_visible",
        "boxes": "bbox",
        "areas": "area",
    }
    targets = {
        ours: np.zeros((2, OBJECTS, *arrays[f"target.0.{theirs}"].shape[1:]), "f4")
        for ours, theirs in names.items()
    }
    targets["objects"] = np.zeros((2, OBJECTS), "f4")
    for image in (0, 1):
        for ours, theirs in names.items():
            values = arrays[f"target.{image}.{theirs}"]
            targets[ours][image, : len(values)] = values
        targets["objects"][image, : len(values)] = 1
    targets["masks"] = np.ones((2, 192, 256), "f4")
    targets["masks"][1, 96:, :128] = 0
    return targets


@pytest.fixture
def square(monkeypatch):
    """The reference divides heights by the mask's width, too; see `outside_weights`."""
    weights = keras_pose.losses.rtmo.outside_weights

    def asked(*values):
        return weights(*values, extent=ops.convert_to_tensor(np.full((1, 1, 2), 256, "f4")))

    monkeypatch.setattr(keras_pose.losses.rtmo, "outside_weights", asked)


def _loss(arrays):
    sigmas = arrays["kept.head.loss_oks.sigmas"].tolist()
    return RTMOLoss(sigmas, SimOTAAssigner(use_keypoints_for_center=True))


@pytest.mark.parametrize("stage", STAGES, ids=["first_rules", "second_rules"])
def test_terms_are_those_of_the_reference(arrays, entry, outputs, targets, compiled, square, stage):
    """All but that of the bins, whose logits are not stored."""
    positives = len(arrays["matched.areas"])
    slots = 2 * 10 * OBJECTS

    def classify(vectors, boxes, points, counted):
        # Slots of images, each filled from the front.
        place = np.cumsum(known, axis=0).astype("int64") - 1
        rows = arrays["matched.dcc_keypoints"][np.clip(place, 0, positives - 1)]
        keypoints = ops.convert_to_tensor(rows)
        flat = [ops.ones((slots, KEYPOINTS, 2))] * 2
        places = [ops.ones((slots, 2))] * 2
        return {
            "keypoints": keypoints,
            "places": places,
            "probabilities": flat,
            "sigmas": ops.ones((slots, KEYPOINTS)),
        }

    known = np.zeros((2, slots // 2))
    for image in (0, 1):
        known[image, : len(arrays[f"assign.{image}.prior_index"])] = 1
    known = known.reshape(-1)
    loss = _loss(arrays)
    if STAGES[stage]:
        loss.proxy_target_cc = True
        loss.loss_oks.loss_weight = 10.0
    compare = compiled(lambda targets, outputs: loss(targets, outputs, classify))
    terms = compare(targets, outputs)
    for name in ("loss_cls", "loss_bbox", "loss_vis", "loss_oks"):
        assert terms[name] == pytest.approx(entry["loss"][stage + name], rel=1e-4), name


def test_bins_that_fit_are_those_of_the_reference(arrays, outputs, goldens):
    boxes = ops.convert_to_numpy(
        decode_boxes(*map(ops.convert_to_tensor, (outputs["boxes"], outputs["priors"])))
    )
    own = boxes.reshape(-1, 4)[arrays["matched.pos_mask"].reshape(-1)]
    classifier = DynamicCoordinateClassifier(KEYPOINTS, bins=BINS)
    likely = likely_places(
        ops.convert_to_tensor(arrays["matched.kpt"]),
        classifier.places(ops.convert_to_tensor(own)),
        ops.convert_to_tensor(arrays["matched.areas"]),
        # Stored as they are before the least one is enforced.
        ops.convert_to_tensor(np.maximum(arrays["matched.sigmas"], 1e-3)),
    )
    for axis, values in zip("xy", likely, strict=True):
        name = f"matched.target_heatmap_{axis}"
        values = ops.convert_to_numpy(values)
        # The narrowest are half a pixel wide, and positions are right to a ten-thousandth.
        assert goldens.compare(arrays, name, values)["relative"] < 1e-3


@pytest.mark.parametrize("image", [0, 1])
def test_people_and_the_codes_of_their_bins_are_those_of_the_reference(
    arrays, entry, folder, golden, outputs, goldens, monkeypatch, image
):
    step = f"step.{image}."
    index, boxes, scores = map(
        ops.convert_to_numpy,
        RTMOCodec().people({n: ops.convert_to_tensor(v) for n, v in outputs.items()}),
    )
    kept = arrays[f"{step}filter_index"][arrays[f"{step}nms_keep"]]
    assert (scores[image] > 0).sum() == len(kept)
    np.testing.assert_array_equal(index[image, : len(kept)], kept)
    boxes = boxes[image, : len(kept)]
    points = outputs["priors"][image, kept, :2]
    np.testing.assert_array_equal(points, arrays[f"{step}grids"])
    sizes = boxes[:, 2:] - boxes[:, :2]
    found = np.c_[(boxes[:, :2] + boxes[:, 2:]) / 2, 1.25 * sizes]
    np.testing.assert_allclose(found, arrays[f"{step}bbox_cs"], atol=1e-3)

    keys = json.loads(gzip.decompress((folder / entry["keys"]).read_bytes()))
    keys = [key for key in keys if key[0].startswith(("head.dcc.x_fc", "head.dcc.y_fc"))]
    monkeypatch.syspath_prepend(str(golden))
    state = importlib.import_module("weights_extra").golden_state(keys, entry["salt"], None, [])
    classifier = DynamicCoordinateClassifier(KEYPOINTS, bins=BINS)
    classifier.build((None, 256))
    places = classifier.places(ops.convert_to_tensor(boxes))
    # Tokens that are the unit vectors: the products are the codes.
    tokens = np.tile(np.eye(128, dtype="f4"), (len(kept), 1, 1))
    for axis in "xy":
        layer = getattr(classifier, f"{axis}_fc")
        layer.kernel.assign(state[f"head.dcc.{axis}_fc.weight"].T)
        layer.bias.assign(state[f"head.dcc.{axis}_fc.bias"])
    logits = classifier.logits(ops.convert_to_tensor(tokens), places, ops.convert_to_tensor(points))
    for axis, values in zip("xy", logits, strict=True):
        codes = ops.convert_to_numpy(values).transpose(0, 2, 1)
        compared = goldens.compare(arrays, f"{step}{axis}_bins_enc", codes)
        assert compared["relative"] < 1e-4


def test_of_too_many_positives_the_last_learn_their_score_only(arrays, outputs, targets, compiled):
    loss = _loss(arrays)

    def terms(limit):
        loss.max_positives = limit

        def classify(vectors, boxes, points, counted):
            rows = counted.shape[0]
            return {
                "keypoints": boxes[:, None, :2] + ops.zeros((rows, KEYPOINTS, 2)),
                "places": [ops.ones((rows, 2))] * 2,
                "probabilities": [ops.ones((rows, KEYPOINTS, 2))] * 2,
                "sigmas": ops.ones((rows, KEYPOINTS)),
            }

        return compiled(lambda targets, outputs: loss(targets, outputs, classify))(targets, outputs)

    full, cut = terms(None), terms(2)
    assert full["loss_bbox"] != pytest.approx(cut["loss_bbox"], rel=1e-3)
    assert cut["loss_cls"] * 4 == pytest.approx(full["loss_cls"] * 16, rel=1e-4)


def test_the_settings_of_losses_are_kept():
    loss = RTMOLoss([0.1] * 3, overlaps_power=1.0, max_positives=None)
    copy = RTMOLoss.from_config(loss.get_config())
    assert copy.get_config() == loss.get_config()
    assert copy.loss_oks.sigmas == copy.assigner.sigmas == [0.1] * 3
    assert isinstance(RTMOHead(3).loss_module, RTMOLoss)
