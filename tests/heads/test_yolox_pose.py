"""YOLOX-Pose: decoding against the reference, and how it learns."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_pose
from keras_pose.codecs import YOLOXPoseCodec
from keras_pose.codecs.priors import flattened, prior_points
from keras_pose.heads import YOLOXPoseHead
from keras_pose.losses import BCELoss, SimOTAAssigner, YOLOXPoseLoss
from keras_pose.losses.one_stage import outside_weights

ENTRY = "yoloxpose_tiny_4xb64-300e_coco-416"
STRIDES = (8, 16, 32)
MAPS = {
    "classes": "cls",
    "objectness": "obj",
    "boxes": "bbox",
    "offsets": "kpt_offsets",
    "visibility": "kpt_vis",
}
SKELETON = keras_pose.Skeleton(
    "three", ["left_eye", "right_eye", "nose"], sigmas=[0.25, 0.25, 0.26]
)


@pytest.fixture(scope="module")
def entry(golden):
    return np.load(golden / "models_bottomup" / f"{ENTRY}.npz")


@pytest.fixture(scope="module")
def outputs(entry):
    """The reference's outputs; keypoints of the finest level are not stored whole."""
    shapes = [entry[f"head.cls.{i}"].shape for i in range(3)]

    def rows(name):
        channels = entry[f"head.{name}.2"].shape[1]
        maps = []
        for i, (batch, _, *cells) in enumerate(shapes):
            stored = entry[f"head.{name}.{i}"]
            whole = stored.ndim == 4
            maps.append(stored if whole else np.zeros((batch, channels, *cells), "f4"))
        return flattened([ops.convert_to_tensor(each.transpose(0, 2, 3, 1)) for each in maps])

    found = {ours: ops.convert_to_numpy(rows(theirs)) for ours, theirs in MAPS.items()}
    priors = ops.convert_to_numpy(prior_points([shape[2:] for shape in shapes], STRIDES))
    return {**found, "priors": np.tile(priors, (2, 1, 1))}


@pytest.mark.parity
def test_people_are_those_of_the_reference(entry, outputs, compiled):
    decoded = compiled(YOLOXPoseCodec(max_people=100).decode)(outputs)
    for image in (0, 1):
        stored = {name: entry[f"pred.{image}.{name}"] for name in ("scores", "bboxes", "keypoints")}
        count = len(stored["scores"])
        assert (decoded["box_scores"][image] > 0).sum() == count
        found = {name: value[image, :count] for name, value in decoded.items()}
        np.testing.assert_allclose(found["box_scores"], stored["scores"], rtol=1e-5)

        # The stored ones are in pixels of an image.
        size, scale = np.array([256, 192]), entry[f"input_scale.{image}"]
        shift = entry[f"input_center.{image}"] - scale / 2
        boxes = found["boxes"].reshape(-1, 2, 2) / size * scale + shift
        np.testing.assert_allclose(boxes.reshape(-1, 4), stored["bboxes"], rtol=0, atol=5e-3)

        kept = entry[f"step.{image}.filter_index"][entry[f"step.{image}.nms_keep"]]
        coarse = kept >= entry["head.cls.0"][0].size
        keypoints = found["keypoints"][coarse] / size * scale + shift
        np.testing.assert_allclose(keypoints, stored["keypoints"][coarse], rtol=0, atol=0.02)
        expected = entry[f"pred.{image}.keypoint_scores"][coarse]
        np.testing.assert_allclose(found["scores"][coarse], expected, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def tiny():
    """Makes a network of a few convolutions."""

    def make(max_people=4, **settings):
        keras.utils.set_random_seed(0)
        x = image = keras.Input((None, None, 3))
        maps = []
        for strides in (8, 2):
            x = keras.layers.Conv2D(8, strides + 1, strides, "same", activation="relu")(x)
            maps.append(x)
        loss = YOLOXPoseLoss(SKELETON.sigmas, **settings)
        head = YOLOXPoseHead(3, YOLOXPoseCodec(max_people=max_people), loss, (8, 16), 8, 1)
        return keras_pose.BottomupEstimator(
            keras.Model(image, maps),
            head,
            skeleton=SKELETON,
            input_size=(96, 64),
        )

    return make


@pytest.fixture(scope="module")
def batch():
    """Two photos: of two people, and of nobody."""
    random = np.random.default_rng(0)
    boxes = np.zeros((2, 3, 4), "f4")
    boxes[0, :2] = [[8, 8, 40, 56], [50, 4, 90, 44]]
    places = random.uniform(0.2, 0.8, (2, 3, 3, 2)).astype("f4")
    keypoints = boxes[:, :, None, :2] + places * (boxes[..., 2:] - boxes[..., :2])[:, :, None]
    labels = {
        "keypoints": keypoints,
        "visible": np.zeros((2, 3, 3), "f4"),
        "boxes": boxes,
        "areas": np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1),
        "objects": np.zeros((2, 3), "f4"),
        "masks": np.ones((2, 16, 24), "uint8"),
    }
    labels["visible"][0, :2], labels["objects"][0, :2] = 1, 1
    return random.integers(0, 256, (2, 64, 96, 3), dtype=np.uint8), labels


def test_training_lowers_the_loss(tiny, batch):
    model = tiny(use_aux_loss=True)
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(*batch, epochs=8, batch_size=2, verbose=0).history
    assert set(model.head.loss_module.terms) <= set(history)
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    assert all(np.isfinite(values).all() for values in history.values())


@pytest.fixture(scope="module")
def terms(tiny, batch, compiled):
    """The terms of the loss with other labels, as numbers."""
    model = tiny()
    raw = {name: ops.convert_to_numpy(v) for name, v in model(batch[0], training=False).items()}
    known = {}

    def terms(use_aux_loss=False, **labels):
        if use_aux_loss not in known:
            loss = YOLOXPoseLoss(SKELETON.sigmas, use_aux_loss=use_aux_loss)
            known[use_aux_loss] = compiled(loss)
        found = known[use_aux_loss]({**batch[1], **labels}, raw)
        return {name: float(value) for name, value in found.items()}

    return terms


def test_the_last_epochs_compare_the_numbers_of_boxes_too(terms):
    plain, more = terms(), terms(use_aux_loss=True)
    assert plain.pop("loss_bbox_aux") == 0
    assert more.pop("loss_bbox_aux") > 0
    assert more == pytest.approx(plain)


def test_photos_of_nobody_teach_what_is_background(terms):
    found = terms(objects=np.zeros((2, 3), "f4"))
    assert found.pop("loss_obj") > 0
    assert set(found.values()) == {0.0}


def test_what_fills_up_does_not_matter(terms, batch):
    boxes = batch[1]["boxes"].copy()
    boxes[0, 2], boxes[1] = [0, 0, 96, 64], np.nan
    areas = batch[1]["areas"].copy()
    areas[1] = np.nan
    assert terms(boxes=boxes, areas=areas) == pytest.approx(terms())


def test_background_that_nobody_labelled_does_not_count(terms, batch):
    masks = batch[1]["masks"].copy()
    masks[0] = 0
    assert terms(masks=masks)["loss_obj"] < terms()["loss_obj"]
    masks[0], masks[1] = 1, 0  # of a photo of nobody, of which masks say nothing
    assert terms(masks=masks) == pytest.approx(terms())


@pytest.mark.parametrize("size", [(64, 96), (16, 24)])
def test_masks_are_read_where_the_keypoints_are(compiled, size):
    masks = np.ones((1, *size), "f4")
    masks[:, size[0] // 2 :] = 0
    priors = np.zeros((1, 96, 3), "f4")
    priors[0] = ops.convert_to_numpy(prior_points([(8, 12)], (8,)))
    keypoints = np.zeros((1, 96, 1, 2), "f4")
    keypoints[..., 0] = 50
    keypoints[0, :, 0, 1] = np.linspace(2, 61, 96)
    targets = {"masks": masks, "objects": np.ones((1, 1), "f4")}
    sure = np.full((1, 96, 1), 3, "f4")
    found = compiled(outside_weights)(targets, priors, keypoints, sure)[0]
    height = keypoints[0, :, 0, 1]
    np.testing.assert_allclose(found[height < 28], 1, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found[height > 37], 0, rtol=0, atol=1e-5)
    far = compiled(outside_weights)(targets, priors, keypoints + 1000, sure)
    assert (far == 1).all()


def test_without_masks_all_background_counts(terms, batch, tiny):
    model = tiny()
    labels = {key: value for key, value in batch[1].items() if key != "masks"}
    checked = model._checked_labels(labels)
    assert "masks" not in checked
    assert "masks" in model._checked_labels(batch[1])
    ones = outside_weights({}, *[ops.zeros((1, 5, 3))] * 3)
    assert ops.convert_to_numpy(ones).tolist() == [[1] * 5]


def test_a_flip_test_finds_a_mirror_image_at_its_place():
    """What is found in the mirror only is turned back."""
    random = np.random.default_rng(0)
    priors = ops.convert_to_numpy(prior_points([(8, 12), (4, 6)], (8, 16)))[None]
    channels = {"classes": 1, "objectness": 1, "boxes": 4, "offsets": 6, "visibility": 3}
    raw = {name: random.standard_normal((1, 120, n)) for name, n in channels.items()}
    raw = {name: ops.convert_to_tensor(value.astype("f4")) for name, value in raw.items()}
    raw["priors"] = ops.convert_to_tensor(priors)
    codec = YOLOXPoseCodec(score_threshold=0.0, max_people=8)
    turned = codec.flip(raw, SKELETON.flip_indices)
    nobody = {**raw, "classes": ops.full_like(raw["classes"], -50.0)}
    found = codec.decode(codec.merge(nobody, turned))
    plain = codec.decode(raw)
    found, plain = (
        {k: ops.convert_to_numpy(v) for k, v in each.items()} for each in (found, plain)
    )
    np.testing.assert_allclose(found["box_scores"], plain["box_scores"], rtol=1e-5)
    back = found["keypoints"][:, :, SKELETON.flip_indices] * [-1, 1] + [95, 0]
    np.testing.assert_allclose(back, plain["keypoints"], rtol=0, atol=1e-3)


def test_predictions_of_photos_are_poses(tiny):
    model = tiny(max_people=5)
    photo = np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)
    model.head.codec.score_threshold = 0.0
    result = model.predict_poses(photo, threshold=0.0, flip_test=True)
    assert 0 < len(result) <= 5
    assert (np.diff(result.box_scores) <= 0).all()
    assert result.boxes.min() >= 0 and (result.boxes[:, 2:] <= [90, 50]).all()


def test_another_skeleton_brings_its_sigmas(tiny):
    other = keras_pose.Skeleton("two", ["a", "b"], swaps=(), sigmas=[0.1, 0.2])
    head = tiny().with_skeleton(other).head
    assert head.num_keypoints == 2
    loss = head.loss_module
    for sigmas in (loss.sigmas, loss.assigner.sigmas, loss.loss_oks.sigmas):
        assert list(sigmas) == pytest.approx([0.1, 0.2])


def test_settings_of_the_loss_survive_a_round_trip():
    loss = YOLOXPoseLoss([0.1], SimOTAAssigner(center_radius=1.5), use_aux_loss=True)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert copy.get_config() == loss.get_config()
    assert copy.assigner.center_radius == 1.5


def test_losses_that_do_not_read_weights_are_refused():
    with pytest.raises(ValueError, match="loss_cls must read weights"):
        YOLOXPoseLoss(loss_cls=BCELoss(weighted=False))


def test_levels_and_strides_must_be_as_many():
    with pytest.raises(ValueError, match=r"strides \[8, 16\] for 3 levels"):
        YOLOXPoseHead(3, strides=(8, 16))([keras.KerasTensor((None, 8, 8, 4))] * 3)
