"""RTMO's head, alone and in a tiny network that learns."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_pose
from keras_pose.codecs import RTMOCodec
from keras_pose.heads import RTMOHead
from keras_pose.heads.dynamic_coordinate_classifier import DynamicCoordinateClassifier
from keras_pose.losses import RTMOLoss
from keras_pose.losses.assignment import SimOTAAssigner
from keras_pose.training import read_checkpoint, save_checkpoint
from keras_pose.training.recipe_mmpose import recipe_from_mmpose

SIZE, KEYPOINTS, PEOPLE = (96, 64), 3, 4
CLASSIFIER = {"channels": 4, "bins": (6, 8), "encoding_channels": 8}
INPUTS = [(4, 6, 8), (2, 3, 8)]
OUTPUTS = {
    "classes": (30, 1),
    "boxes": (30, 4),
    "offsets": (30, 2 * KEYPOINTS),
    "visibility": (30, KEYPOINTS),
    "pose_vectors": (30, 5),
    "priors": (30, 3),
}


def head():
    codec = RTMOCodec(score_threshold=0.0, max_people=PEOPLE)
    # Steps over few priors compile quickly.
    loss = RTMOLoss(assigner=SimOTAAssigner(candidate_topk=3))
    return RTMOHead(KEYPOINTS, codec, loss, (16, 32), 4, 2, 2, 1, 5, CLASSIFIER)


def network():
    """A layer a level before the head."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE[1], SIZE[0], 3))
    fine = keras.layers.Conv2D(8, 16, 16, activation="tanh")(image)
    coarse = keras.layers.Conv2D(8, 2, 2, activation="tanh")(fine)
    return keras_pose.BottomupEstimator(
        keras.Model(image, [fine, coarse]),
        head(),
        skeleton=keras_pose.Skeleton("three", ["left_eye", "right_eye", "nose"]),
        input_size=SIZE,
    )


@pytest.fixture
def labelled():
    """Two images and what is in them; the second shows nobody in its second place."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, SIZE[1], SIZE[0], 3)).astype("uint8")
    keypoints = random.uniform((0, 0), SIZE, (2, 2, KEYPOINTS, 2)).astype("f4")
    low, high = keypoints.min(axis=2) - 8, keypoints.max(axis=2) + 8
    labels = {
        "keypoints": keypoints,
        "visible": np.ones((2, 2, KEYPOINTS), "f4"),
        "boxes": np.concatenate([low, high], axis=-1),
        "areas": np.prod(high - low, axis=-1),
        "objects": np.array([[1, 1], [1, 0]], "f4"),
        "affine": np.tile(np.eye(2, 3, dtype="f4"), (2, 1, 1)),
    }
    return images, labels


def test_values(parts):
    parts.check_values(head(), INPUTS, OUTPUTS)


def test_storing(parts, tmp_path):
    parts.check_storing(head(), INPUTS, tmp_path / "a.weights.h5")


def test_half_precision(parts):
    parts.check_half_precision(head, INPUTS, "float32")


def test_the_codec_decodes_the_instances(parts, compiled):
    made = head()
    parts.model_of(made, INPUTS)
    values = parts.random_inputs(OUTPUTS)
    values["priors"][..., 2] = 16.0
    values["pose_vectors"] *= 10
    decode = compiled(lambda outputs: made.codec.decode(made.instances(outputs)))
    found = decode(values)
    assert {key: value.shape for key, value in found.items()} == {
        "keypoints": (2, PEOPLE, KEYPOINTS, 2),
        "scores": (2, PEOPLE, KEYPOINTS),
        "boxes": (2, PEOPLE, 4),
        "box_scores": (2, PEOPLE),
    }
    assert all(np.isfinite(value).all() for value in found.values())
    assert (np.diff(found["box_scores"]) <= 0).all()


def test_keypoints_lie_in_their_boxes():
    classifier = DynamicCoordinateClassifier(KEYPOINTS, **CLASSIFIER)
    random = np.random.default_rng(0)
    vectors = random.normal(0, 9, (7, 5)).astype("f4")
    low = random.uniform(-20, 50, (7, 2))
    sides = random.uniform(5, 60, (7, 2))
    boxes = np.concatenate([low, low + sides], axis=1).astype("f4")
    classifier.build(vectors.shape)
    found = classifier(*map(ops.convert_to_tensor, (vectors, boxes, boxes[:, :2])))
    keypoints = ops.convert_to_numpy(found["keypoints"])
    margin = 0.125 * sides[:, None] + 1e-3
    assert (keypoints >= low[:, None] - margin).all()
    assert (keypoints <= (low + sides)[:, None] + margin).all()
    for chances in found["probabilities"]:
        np.testing.assert_allclose(ops.convert_to_numpy(ops.sum(chances, axis=-1)), 1, atol=1e-5)


def compile_by_recipe(model, epochs, switch, rate):
    """As published models are, but for the epochs; returns the callbacks."""
    attributes = {"loss_mle.loss_weight": 5.0, "loss_oks.loss_weight": 10.0, "use_aux_loss": True}
    hook = {"type": "RTMOModeSwitchHook", "epoch_attributes": {str(switch): attributes}}
    recipe = recipe_from_mmpose(
        {
            "optimizer": {"type": "Adam", "lr": rate},
            "param_scheduler": [],
            "train_cfg": {"max_epochs": epochs},
            "total_batch": 2,
            "custom_hooks": [hook],
        }
    )
    plan = recipe.compile(model, steps_per_epoch=1, verbose=0)
    if keras.backend.backend() == "tensorflow":
        model.jit_compile = False  # XLA compiles for a minute
    return plan.callbacks


def test_training_lowers_the_loss_and_follows_its_recipe(labelled, quickly_compiled):
    model = network()
    callbacks = compile_by_recipe(model, 9, switch=8, rate=1e-2)
    norm = model.head.dcc.pose_to_kpts[1]
    before = ops.convert_to_numpy(norm.moving_mean)
    history = model.fit(*labelled, epochs=9, callbacks=callbacks, verbose=0).history
    assert set(RTMOLoss.terms) < set(history)
    assert history["loss"][7] < 0.9 * history["loss"][0]
    assert np.abs(ops.convert_to_numpy(norm.moving_mean) - before).max() > 0
    # One small step lies between them.
    last, switched = ({name: history[name][i] for name in RTMOLoss.terms} for i in (7, 8))
    assert switched["loss_mle"] == pytest.approx(5 * last["loss_mle"], rel=0.1)
    assert switched["loss_oks"] == pytest.approx(last["loss_oks"] / 3, rel=0.1)
    assert switched["loss_bbox"] == pytest.approx(last["loss_bbox"], rel=0.1)
    assert switched["loss_vis"] == pytest.approx(last["loss_vis"], rel=0.1)
    assert (last["loss_bbox_aux"], switched["loss_bbox_aux"] > 0) == (0, True)


class Keep(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        facts = {"epoch": epoch + 1, "step": 0}
        save_checkpoint(self.folder / f"{epoch + 1}.npz", self.model, facts)


def test_a_resumed_training_has_the_rules_of_its_epoch(labelled, tmp_path, backend):
    if backend != "torch":
        pytest.skip("compiles three steps; see test_switches_survive_a_resume of the recipes")
    histories, weights = [], []
    for start in (0, 3):
        model = network()
        callbacks = compile_by_recipe(model, 4, switch=2, rate=3e-3)
        if start:
            model.optimizer.build(model.trainable_variables)
            read_checkpoint(tmp_path / f"{start}.npz").restore(model)
        callbacks = [*callbacks, Keep(tmp_path)]
        settings = {"initial_epoch": start, "epochs": 4, "callbacks": callbacks, "verbose": 0}
        histories.append(model.fit(*labelled, **settings).history)
        weights.append(model.get_weights())
    for name in RTMOLoss.terms:
        assert histories[1][name] == histories[0][name][3:]
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_there_is_no_flip_test():
    with pytest.raises(ValueError, match="RTMO has no flip test because its pose vectors"):
        RTMOCodec().flip({}, [0])


def test_levels_and_strides_fit():
    with pytest.raises(ValueError, match=r"strides \[16, 32\] for 1 levels of features"):
        head()([keras.KerasTensor((None, 4, 6, 8))])


def test_encodings_have_an_even_width():
    with pytest.raises(ValueError, match="encoding_channels must be even, got 7"):
        DynamicCoordinateClassifier(KEYPOINTS, encoding_channels=7)
