import gzip
import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose import Skeleton, TopdownEstimator
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead
from keras_pose.losses import RTMOLoss
from keras_pose.training import read_checkpoint, save_checkpoint
from keras_pose.training.callbacks import AttributeSwitches
from keras_pose.training.recipe import Recipe
from keras_pose.training.recipe_mmpose import recipe_from_mmpose

ZOO = Path(__file__).resolve().parents[3] / "shared/zoo/zoo.json.gz"
TABLE = json.loads(gzip.decompress(ZOO.read_bytes())) if ZOO.is_file() else {"recipes": {}}
# Published recipes that need what is not here, and the words in which they are refused.
REFUSED = {
    "r102": "model_train_cfg",
    "r103": "model_train_cfg",
    "r105": "model_train_cfg",
    "r106": "model_train_cfg",
    "r108": "model_train_cfg",
    "r117": "model_train_cfg",
    "r118": "model_train_cfg",
    "r119": "model_train_cfg",
}
REFUSED |= {
    key: "new_train_dataset"
    for key, entry in TABLE["recipes"].items()
    if "new_train_dataset" in json.dumps(entry["custom_hooks"])
}
SMALL = {
    "optimizer": {"type": "AdamW", "learning_rate": 1e-3, "weight_decay": 0.05},
    "epochs": 2,
    "batch_size": 8,
}


@pytest.fixture
def small():
    def make(**settings):
        return Recipe.from_dict({**SMALL, **settings})

    return make


def _pipelines(key):
    """The pipelines of the first row that uses a recipe."""
    row = next(row for row in TABLE["rows"] if (row.get("train_recipe") or {}).get("recipe") == key)
    used = row["train_recipe"]
    stage = used["stage2"] or {}
    named = TABLE["pipelines"].get
    return row, {
        "pipeline": named(used["train_pipeline"]),
        "last_pipeline": named(stage.get("pipeline")),
        "switch_epoch": stage.get("epoch"),
        "pipelines": TABLE["pipelines"],
    }


@pytest.mark.parametrize("key", list(TABLE["recipes"]) or ["missing"])
def test_published_recipes_are_understood_or_refused_by_name(key):
    if not TABLE["recipes"]:
        pytest.skip("zoo/zoo.json.gz is not beside this checkout")
    published = TABLE["recipes"][key]
    if key in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[key]):
            recipe_from_mmpose(published, pipelines=TABLE["pipelines"])
        return
    recipe = recipe_from_mmpose(published, pipelines=TABLE["pipelines"])
    assert recipe.epochs == published["train_cfg"]["max_epochs"]
    assert recipe.batch_size == published["total_batch"]
    assert recipe.optimizer["learning_rate"] == published["optimizer"]["lr"]
    assert len(recipe.schedule) == len(published["param_scheduler"])
    assert (recipe.average is None) == (published["ema"] is None)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.skipif(not TABLE["recipes"], reason="zoo/zoo.json.gz is not beside this checkout")
def test_augmentation_comes_with_the_recipe():
    _, pipelines = _pipelines("r1")
    recipe = recipe_from_mmpose(TABLE["recipes"]["r1"], **pipelines)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        augment = recipe.augment()
    assert augment.at(179) == augment.first
    assert augment.at(180) != augment.first


def test_compile_gives_optimizer_and_callbacks(small, tiny):
    recipe = small(
        schedule=[{"rule": "linear", "unit": "step", "end": 3, "start": 0.1}],
        rules={"norm_decay": 0, "bias_decay": 0, "keys": {"head": {"rate": 0.5}}},
        average={"momentum": 2e-4},
        switches={"1": {"head.loss_module.loss_weight": 3.0}},
    )
    estimator, images, labels = tiny()
    plan = recipe.compile(estimator, steps_per_epoch=2, verbose=0)
    history = estimator.fit(
        images, labels, batch_size=8, epochs=2, callbacks=plan.callbacks, verbose=0
    ).history
    assert [type(c).__name__ for c in plan.callbacks] == ["AttributeSwitches", "AveragedWeights"]
    assert {rate for rate, _ in plan.optimizer.factors} == {1.0, 0.5}
    assert int(plan.optimizer.average.steps) == 4
    assert estimator.head.loss_module.loss_weight == 3.0
    assert history["loss"][1] > 1.5 * history["loss"][0]


def test_learning_rate_follows_the_batch_size(small, tiny, capsys):
    recipe = small(base_batch_size=32, scale_learning_rate=True)
    plan = recipe.compile(tiny()[0], steps_per_epoch=2)
    assert plan.optimizer._learning_rate.learning_rate == pytest.approx(2.5e-4)
    assert "0.001 of batch size 32 scaled to 0.00025 for batch size 8" in capsys.readouterr().err
    plan = small().compile(tiny()[0], steps_per_epoch=2, batch_size=4, verbose=0)
    assert "is meant for batch size 8, this training has 4" in plan.log[0]


def test_scaling_is_the_reference_s(golden, small):
    facts = json.loads((golden / "training/facts.json").read_text("utf-8"))
    for fact in facts["auto_scale_lr"]:
        settings = {"type": "Adam", "learning_rate": fact["lr"]}
        batch = fact["gpus"] * fact["batch_per_gpu"]
        recipe = small(
            optimizer=settings,
            batch_size=batch,
            base_batch_size=fact["base_batch_size"],
            scale_learning_rate=True,
        )
        assert recipe.learning_rate() == pytest.approx(fact["scaled"][0], rel=1e-12)
        assert small(optimizer=settings, batch_size=batch).learning_rate() == fact["without_enable"]


def test_switches_of_published_hooks(golden):
    facts = json.loads((golden / "training/facts.json").read_text("utf-8"))
    for settings, (expected,) in facts["YOLOXPoseModeSwitchHook"]["switch_epoch_index"].items():
        epochs, last = (int(part.partition("=")[2]) for part in settings.split(","))
        hook = {"type": "YOLOXPoseModeSwitchHook", "num_last_epochs": last}
        recipe = _with_hooks([{**hook, "new_train_pipeline": []}], epochs)
        assert list(recipe.switches) == [str(expected)]
    recipe = _with_hooks(facts["custom_hooks"]["rtmo-s"][1:2], 600)
    assert recipe.switches["280"]["head.loss_module.loss_mle.loss_weight"] == 5.0


def test_rules_of_rtmo_change_at_the_epoch(golden):
    facts = json.loads((golden / "training/facts.json").read_text("utf-8"))["RTMOModeSwitchHook"]
    hook = {"type": "RTMOModeSwitchHook", "epoch_attributes": facts["example_attributes"]}
    callback = AttributeSwitches(_with_hooks([hook], 5).switches)
    loss, compiled = RTMOLoss(), []
    model = SimpleNamespace(
        head=SimpleNamespace(loss_module=loss),
        make_train_function=lambda force: compiled.append("train"),
        make_test_function=lambda force: compiled.append("test"),
        test_function=print,
    )
    callback.set_model(model)
    rows = []
    for epoch, *_ in facts["after_each_epoch_start"]:
        callback.on_epoch_begin(epoch)
        rows.append([epoch, loss.proxy_target_cc, loss.loss_mle.loss_weight])
    assert rows == facts["after_each_epoch_start"]
    assert compiled == ["train", "test"]
    model.head.loss_module = RTMOLoss()  # of a resumed training
    callback.on_epoch_begin(4)
    assert model.head.loss_module.get_config() == loss.get_config()
    assert compiled == ["train", "test"] * 2


def _with_hooks(hooks, epochs):
    return recipe_from_mmpose(
        {
            "optimizer": {"type": "Adam", "lr": 1e-3},
            "param_scheduler": [],
            "train_cfg": {"max_epochs": epochs},
            "total_batch": 8,
            "custom_hooks": hooks,
        }
    )


def test_switches_survive_a_resume(small, tiny, tmp_path):
    """It ends with the same weights and losses as a training that is not interrupted."""
    recipe = small(switches={"1": {"head.loss_module.loss_weight": 3.0}}, epochs=3)
    _, images, labels = tiny()
    ends = []
    for start in (0, 2):
        keras.utils.set_random_seed(0)
        estimator = _one_layer()
        plan = recipe.compile(estimator, 1, verbose=0)
        if start:
            estimator.optimizer.build(estimator.trainable_variables)
            read_checkpoint(tmp_path / "2.npz").restore(estimator)
        keep = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, model=estimator: save_checkpoint(
                tmp_path / f"{epoch + 1}.npz", model, {"epoch": epoch + 1, "step": 0}
            )
        )
        history = estimator.fit(
            images,
            labels,
            batch_size=16,
            shuffle=False,
            initial_epoch=start,
            epochs=3,
            validation_data=(images, labels),
            callbacks=[*plan.callbacks, keep],
            verbose=0,
        ).history
        assert estimator.head.loss_module.loss_weight == 3.0
        ends.append((history["loss"], history["val_loss"], estimator.get_weights()))
    (losses, judged, weights), resumed = ends
    assert losses[1] > 2 * losses[0]
    assert judged[1] > 2 * judged[0]
    assert losses[2:] == resumed[0]
    for one, two in zip(weights, resumed[2], strict=True):
        np.testing.assert_array_equal(one, two)


def _one_layer():
    image = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(8, 4, 4, activation="relu")(image)
    codec = MSRAHeatmap((32, 32), (8, 8), 1.0)
    return TopdownEstimator(
        keras.Model(image, features),
        HeatmapHead(2, codec, deconv_filters=(), deconv_kernels=()),
        skeleton=Skeleton("pair", ["left_dot", "right_dot"]),
        input_size=(32, 32),
    )


def test_frozen_parts_stay(small, tiny):
    estimator, images, labels = tiny()
    small(freeze=["backbone"]).compile(estimator, 2, verbose=0)
    before = [ops.convert_to_numpy(v.value).copy() for v in estimator.backbone.variables]
    estimator.fit(images, labels, batch_size=8, verbose=0)
    for old, new in zip(before, estimator.backbone.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(new.value), old)


def test_kept_statistics_stay_while_their_scale_learns(small, tiny):
    estimator, images, labels = tiny()
    small(norm_eval=["backbone.bn1"]).compile(estimator, 2, verbose=0)
    norm = estimator.backbone.bn1
    before = [ops.convert_to_numpy(v.value).copy() for v in norm.variables]
    estimator.fit(images, labels, batch_size=8, verbose=0)
    same = [
        np.array_equal(ops.convert_to_numpy(v.value), old)
        for v, old in zip(norm.variables, before, strict=True)
    ]
    assert same == [v.name.startswith("moving") for v in norm.variables]


def test_files_round_trip(small, tmp_path):
    recipe = small(rules={"layer_decay": {"rate": 0.75, "layers": 12}}, norm_eval=["backbone"])
    recipe.save(tmp_path / "recipe.json")
    assert Recipe.from_file(tmp_path / "recipe.json").to_dict() == recipe.to_dict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "recipe: unknown key 'epoch'; did you mean epochs"),
        ({"optimizer": {"type": "Adan", "learning_rate": 1}}, "unknown type 'Adan'; did you mean"),
        ({"optimizer": {**SMALL["optimizer"], "momentm": 1}}, "unknown argument 'momentm'"),
        ({"optimizer": {"type": "SGD"}}, "needs a learning_rate"),
        ({"schedule": [{"rule": "cosine", "flor": 0}]}, "unknown setting 'flor'; did you mean"),
        ({"rules": {"norm_decy": 0}}, "rules: unknown key 'norm_decy'; did you mean norm_decay"),
        ({"rules": {"layer_decay": {"rate": 0.75}}}, "layer_decay needs layers"),
        ({"average": {"momentun": 0}}, "average: unknown key 'momentun'; did you mean momentum"),
        ({"epochs": 0}, "epochs must be a positive integer, got 0"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
        ({"scale_learning_rate": True}, "needs base_batch_size"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest(settings, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict({**SMALL, **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": ["backbone.layr1"]}, "lacks a part: unknown name 'backbone.layr1'; did you"),
        ({"norm_eval": ["head.final_layer"]}, "no batch normalisation"),
        ({"switches": {"1": {"head.loss": 1}}}, "HeatmapHead has no attribute 'loss'"),
    ],
)
def test_parts_that_a_model_lacks_are_refused(small, tiny, settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings).compile(tiny()[0], 2, verbose=0)
