"""Distillation: what is learnt, what is frozen, what is saved."""

import keras
import numpy as np
import pytest

from keras_pose import TopdownEstimator
from keras_pose.backbones import ResNet
from keras_pose.codecs import SimCCLabel
from keras_pose.heads import SimCCHead
from keras_pose.losses import KLDiscretLoss
from keras_pose.skeleton import Skeleton
from keras_pose.training.distillation import Distiller
from keras_pose.training.recipe import Recipe

SIZE, BETA = (32, 32), 2.0


def _estimator(width, split_ratio=2.0, size=SIZE, **settings):
    codec = SimCCLabel(size, split_ratio)
    head = SimCCHead(2, codec, KLDiscretLoss(beta=BETA))
    backbone = ResNet(18, (3,), base_channels=width, zero_init_residual=False)
    skeleton = Skeleton("pair", ["left_dot", "right_dot"])
    return TopdownEstimator(
        backbone, head, **{"skeleton": skeleton, "input_size": size, **settings}
    )


def _sharpened(estimator):
    """New networks say nothing of any bin; a trained one does."""
    for layer in (estimator.head.mlp_head_x, estimator.head.mlp_head_y):
        layer.bias.assign(np.random.default_rng(1).normal(size=layer.bias.shape))
    return estimator


@pytest.fixture
def pair():
    """(student, teacher)"""
    keras.utils.set_random_seed(0)
    return _estimator(4), _sharpened(_estimator(8))


@pytest.fixture
def batch(tiny):
    """(images, labels), 8 of them."""
    _, images, labels = tiny()
    return images[:8], {name: values[:8] for name, values in labels.items()}


def _outputs(estimator, images):
    """Last feature map, and logits of x and y, as in inference."""
    maps = estimator.features(images, training=False)
    outputs = estimator.head(maps, training=False)
    return [keras.ops.convert_to_numpy(v) for v in (maps[-1], outputs["x"], outputs["y"])]


def _softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _divergence(student, teacher):
    """Summed over bins, axes and keypoints, per sample and keypoint."""
    total = 0
    for ours, theirs in zip(student, teacher, strict=True):
        p, q = _softmax(BETA * theirs.astype("f8")), _softmax(BETA * ours.astype("f8"))
        total += (p * (np.log(p) - np.log(q))).sum()
    return total / ours.shape[0] / ours.shape[1]


def _fit(model, batch, epochs=1, rate=0.1, **options):
    model.compile(keras.optimizers.SGD(rate))
    options = {"batch_size": 8, "verbose": 0, "epochs": epochs, **options}
    return model.fit(*batch, **options).history


def test_the_terms_are_those_of_the_paper(pair, batch):
    student, teacher = pair
    distiller = Distiller(student, teacher, feature_weight=0.01, logit_weight=0.3)
    student.compile()
    distiller.compile()
    terms = distiller.evaluate(*batch, batch_size=8, verbose=0, return_dict=True)
    plain = student.evaluate(*batch, batch_size=8, verbose=0, return_dict=True)
    (mine, *logits), (theirs, *known) = (_outputs(model, batch[0]) for model in pair)
    align = distiller.distillation.align
    kernel, bias = (keras.ops.convert_to_numpy(v) for v in (align.kernel, align.bias))
    aligned = mine @ kernel[0, 0] + bias
    expected = {
        "loss_kpt": plain["loss_kpt"],
        "loss_fea": 0.01 * np.square(aligned - theirs).sum() / 8,
        "loss_logit": 0.3 * _divergence(logits, known),
        "pck": plain["pck"],
    }
    assert terms.keys() == {"loss", *expected}
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=2e-5, err_msg=name)
    total = sum(value for name, value in expected.items() if name.startswith("loss_"))
    np.testing.assert_allclose(terms["loss"], total, rtol=2e-5)


def test_the_teacher_fades_with_the_epochs(pair, batch):
    # Without learning every epoch has the same losses, but for their factor.
    distiller = Distiller(*pair, feature_weight=1e-3, logit_weight=1.0)
    distiller.backbone.trainable = False
    history = _fit(distiller, batch, epochs=4, rate=0.0)
    for name in ("loss_fea", "loss_logit"):
        shares = np.divide(history[name], history[name][0])
        np.testing.assert_allclose(shares, [1, 0.75, 0.5, 0.25], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(history["loss_kpt"], history["loss_kpt"][0], rtol=1e-5)


def test_a_resumed_training_goes_on_with_the_factor_of_its_epoch(pair, batch):
    distiller = Distiller(*pair, epochs=8)
    _fit(distiller, batch, initial_epoch=5, epochs=6)
    assert float(distiller.teacher.factor) == pytest.approx(1 - 5 / 8)


def test_only_the_student_learns(pair, batch):
    student, teacher = pair
    before = teacher.get_weights()
    distiller = Distiller(student, teacher)
    history = _fit(distiller, batch, epochs=3, rate=0.02)
    assert history["loss"][-1] < history["loss"][0]
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    learnt = {id(variable) for variable in student.trainable_variables}
    learnt |= {id(variable) for variable in distiller.distillation.trainable_variables}
    assert {id(variable) for variable in distiller.trainable_variables} == learnt


def test_the_student_alone_predicts_and_is_saved(pair, batch, tmp_path):
    student, teacher = pair
    distiller = Distiller(student, teacher)
    _fit(distiller, batch)
    predicted = distiller.predict_on_batch(batch[0])
    assert predicted.keys() == {"keypoints", "scores"}
    distiller.save_to_preset(tmp_path / "student")
    distiller.save(tmp_path / "student.keras")
    for loaded in (
        TopdownEstimator.from_preset(tmp_path / "student"),
        keras.saving.load_model(tmp_path / "student.keras", compile=False),
    ):
        assert type(loaded) is TopdownEstimator
        assert loaded.count_params() == student.count_params()
        again = loaded.predict_on_batch(batch[0])
        np.testing.assert_allclose(again["scores"], predicted["scores"], rtol=1e-5, atol=1e-6)


def test_the_second_stage_gives_a_new_head_the_gradient_of_the_paper(pair, batch):
    _, model = pair
    second = Distiller.second_stage(model, logit_weight=0.5)
    features, *logits = _outputs(second.student, batch[0])
    theirs, *known = _outputs(model, batch[0])
    np.testing.assert_allclose(features, theirs, atol=1e-6)
    biases = [keras.ops.convert_to_numpy(layer.bias) for layer in _last_layers(second)]
    history = _fit(second, batch, rate=1.0)
    assert history.keys() == {"loss", "loss_logit", "pck"}
    np.testing.assert_allclose(history["loss"], [0.5 * _divergence(logits, known)], rtol=1e-5)
    for layer, bias, ours, wanted in zip(_last_layers(second), biases, logits, known, strict=True):
        error = _softmax(BETA * ours) - _softmax(BETA * wanted)
        gradient = 0.5 * BETA * error.sum((0, 1)) / (8 * 2)
        step = keras.ops.convert_to_numpy(layer.bias) - bias
        np.testing.assert_allclose(step, -gradient, rtol=1e-4, atol=1e-6)


def _last_layers(model):
    return model.head.mlp_head_x, model.head.mlp_head_y


def test_the_second_stage_leaves_backbone_and_teacher_alone(pair, batch):
    _, model = pair
    before = {part: getattr(model, part).get_weights() for part in ("backbone", "head")}
    second = Distiller.second_stage(model)
    history = _fit(second, batch, epochs=5, rate=0.1)
    assert history["loss"][-1] < history["loss"][0]
    for part in (model.backbone, second.student.backbone):
        for old, new in zip(before["backbone"], part.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    for old, new in zip(before["head"], model.head.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_second_stage_with_the_old_head_starts_where_the_teacher_is(pair, batch):
    second = Distiller.second_stage(pair[1], new_head=False)
    second.compile()
    terms = second.evaluate(*batch, batch_size=8, verbose=0, return_dict=True)
    assert terms["loss_logit"] == pytest.approx(0, abs=1e-6)


def test_recipes_take_a_distiller_for_the_student(pair, batch):
    distiller = Distiller(*pair)
    recipe = Recipe(
        optimizer={"type": "AdamW", "learning_rate": 1e-3},
        epochs=2,
        batch_size=8,
        rules={"norm_decay": 0, "keys": {"backbone": {"rate": 0.1}}},
        average={"momentum": 0.1},
        freeze=["backbone.layer1"],
    )
    plan = recipe.compile(distiller, 1, verbose=0)
    history = distiller.fit(
        *batch, batch_size=8, epochs=2, callbacks=plan.callbacks, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(
    ("student", "options", "message"),
    [
        ({"size": (64, 32)}, {}, r"the same input_size, got \(64, 32\) and \(32, 32\)"),
        ({"split_ratio": 1.0}, {}, "as many bins, got 32 and 64 of x"),
        ({"skeleton": Skeleton("other", ["a", "b"])}, {}, "skeletons other and pair"),
        ({}, {"feature_weight": 0, "logit_weight": 0}, "one of them above 0"),
        ({}, {"epochs": 0}, "epochs must be a positive integer, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(student, options, message):
    with pytest.raises(ValueError, match=message):
        Distiller(_estimator(4, **student), _estimator(4), **options)


def test_heads_without_bins_learn_from_features_only(tiny, pair):
    heatmaps, _, _ = tiny()
    with pytest.raises(ValueError, match="the student's gives heatmaps: leave them out"):
        Distiller(heatmaps, pair[1], feature_weight=0)
    with pytest.raises(ValueError, match="the student's are 4x4, the teacher's 1x1: leave them"):
        Distiller(heatmaps, pair[1])
    assert Distiller(heatmaps, tiny()[0], logit_weight=0).loss_terms() == ("loss_kpt", "loss_fea")


def test_a_model_survives_the_training_of_its_copy(pair, batch):
    _, model = pair
    before = model.predict_on_batch(batch[0])["scores"]
    copy = model.with_skeleton(Skeleton("other", ["a", "b"]))
    _fit(copy, batch)
    np.testing.assert_array_equal(model.predict_on_batch(batch[0])["scores"], before)
