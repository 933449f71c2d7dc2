import gzip
import json
import warnings
from pathlib import Path

import keras
import pytest

from keras_pose import layers
from keras_pose.checkpoints.mmpose.translation import translate_model
from keras_pose.training.parameter_rules import (
    LayerDecay,
    Parameter,
    ParameterRules,
    parameter_factors,
    parameters,
    useless_keys,
)
from keras_pose.training.recipe import rules_of
from keras_pose.training.recipe_mmpose import optimizer_settings, rules_from_mmpose

SHARED = Path(__file__).resolve().parents[3] / "shared"
INDEX = SHARED / "golden/training/param_groups.json"
GROUPS = json.loads(INDEX.read_text("utf-8")) if INDEX.is_file() else {}
MODELS = sorted(set(GROUPS) - {"layer_decay"})
NOT_BUILT = {
    "rtmo-s": "RTMO's head is not here yet",
    "yoloxpose-s": "YOLOX-Pose's head is not here yet",
}
KINDS = {"BatchNorm2d": "norm", "LayerNorm": "norm", "GroupNorm": "norm"}


def _rules(settings):
    wrapper = settings.get("optim_wrapper", settings)
    rules = rules_from_mmpose(
        wrapper.get("paramwise_cfg") or {}, settings.get("fn", wrapper.get("constructor"))
    )
    return rules_of(rules) or ParameterRules()


@pytest.mark.cases("training/param_rules")
def test_rules_are_the_reference_s(case, golden):
    toy = json.loads((golden / "training/param_rules.json").read_text("utf-8"))["model"]
    rules = _rules({**case["args"], "fn": case["fn"]})
    for name, (rate, decay, *_) in case["expect"].items():
        # Frozen parameters are no variables of an optimizer of Keras.
        if name.startswith("frozen"):
            continue
        layer, shape = toy.get(name, _of_toy_transformer(name))
        kind = "depthwise" if name == "dw.weight" else KINDS.get(layer, "other")
        found = rules.factors(Parameter(name, len(shape), kind))
        assert found == pytest.approx((rate, decay), abs=1e-12), name


def _of_toy_transformer(name):
    if "token" in name or "pos_embed" in name:
        return "", [1, 1, 4]
    flat = name.endswith(("bias", ".0.weight")) or ".ln1." in name
    return "", [4] if flat else [4, 4]


@pytest.fixture(scope="module")
def zoo(shared):
    return json.loads(gzip.decompress((shared / "zoo/zoo.json.gz").read_bytes()))


@pytest.mark.parametrize("name", MODELS or ["missing"])
def test_factors_of_published_models(name, zoo):
    if not GROUPS:
        pytest.skip("golden/training is not beside this checkout")
    if name in NOT_BUILT:
        pytest.skip(NOT_BUILT[name])
    entry = GROUPS[name]
    config = entry.get("config", "")
    if not config.endswith(".py"):
        config = GROUPS["swin-tiny"]["config"]
    row = next(row for row in zoo["rows"] if row["config"] == config.removesuffix(".py"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        described = translate_model(row["model"], "coco", row["codec"])
        estimator = keras.saving.deserialize_keras_object(described)
    optimizer, arguments = optimizer_settings(entry["optim_wrapper"]["optimizer"])
    rules = _rules(entry)
    factors = parameter_factors(estimator, rules)
    names = [parameter.name for parameter in parameters(estimator)]
    assert sorted(names) == sorted(entry["params"])
    decays = arguments.get("weight_decay", 0.01 if optimizer == "AdamW" else 0.0) > 0
    for parameter, (rate, decay) in zip(names, factors, strict=True):
        expected = entry["params"][parameter]
        assert (rate, decay * decays) == pytest.approx(expected[:2], rel=1e-9), parameter


@pytest.mark.skipif(not GROUPS, reason="golden/training is not beside this checkout")
@pytest.mark.parametrize("size", ["small", "base", "large", "huge"])
def test_layer_decay_of_published_sizes(size):
    entry = GROUPS["layer_decay"][f"ViTPose-{size}"]
    decay = LayerDecay(entry["rate"], entry["num_layers"])
    names = ["backbone.pos_embed"]
    names += [f"backbone.layers.{i}.ln1.weight" for i in range(entry["num_layers"])]
    scales = [decay.factors(Parameter(name, 2))[0] for name in [*names, "head.final_layer.weight"]]
    assert scales == pytest.approx(entry["scale_by_layer_id"], rel=1e-12)


@pytest.mark.skipif(not GROUPS, reason="golden/training is not beside this checkout")
def test_layers_of_names():
    for name, layer in GROUPS["layer_decay"]["layer_id_examples"].items():
        assert LayerDecay(0.8, 12).layer(name) == layer


def _small():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, name="conv")(x)
    y = layers.BatchNormalization(name="bn")(y)
    return keras.Model(x, layers.DepthwiseConv2D(3, name="mix")(y))


def test_kinds_are_those_of_the_layers():
    kinds = {parameter.name: parameter.kind for parameter in parameters(_small())}
    assert kinds["bn.weight"] == kinds["bn.bias"] == "norm"
    assert kinds["mix.weight"] == "depthwise"
    assert kinds["conv.weight"] == kinds["conv.bias"] == "other"


def test_keys_that_match_nothing_are_told():
    (sentence,) = useless_keys(_small(), ParameterRules(keys={"cnv": {"rate": 0.1}}))
    assert "unknown key 'cnv'; did you mean conv" in sentence


def test_unknown_settings_of_keys_are_refused():
    with pytest.raises(ValueError, match="unknown setting 'decy'; did you mean decay"):
        ParameterRules(keys={"conv": {"decy": 0.1}})
