"""Running jobs: what is kept, what is refused, and how a training stops that goes wrong."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose import TopdownEstimator
from keras_pose.training import Recipe, Trainer, TrainingError
from keras_pose.training.guards import as_training_error, is_out_of_memory
from keras_pose.training.judging import JudgeEpochs, monitored


def test_best_and_last_weights_are_presets_and_results_have_protocols(tiny_job, tmp_path, capsys):
    val = {"annotations": str(tmp_path / "dots.json")}
    job = tiny_job({"validate_every": 2, "monitor": "error_px"}, val=val)
    out = tmp_path / "out"
    run = Trainer(job, out, verbose=2).run()
    for name in ("best", "last"):
        kept = TopdownEstimator.from_preset(out / name)
        assert kept.skeleton.keypoints == ("left_dot", "right_dot")
    results = json.loads((out / "results.json").read_text())
    assert list(results["results"]) == ["before", "best", "last"]
    assert results["results"]["last"]["protocol"]["images"] == 16
    assert run.results["best"]["error_px"] <= run.results["last"]["error_px"]
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert ["error_px" in row for row in rows] == [False, True, True]
    assert "3 epochs of 4 steps of 4, Adam, float32, seed 7" in capsys.readouterr().err


def test_gathered_batches_are_one_big_batch(tiny_job, tmp_path):
    """Steps of 3 batches of 2; the 2 of 8 batches that are left over are not learnt."""
    # statistics of normalisation and dropout see other batches
    small = {"epochs": 2, "batch_size": 6}
    freeze = {"freeze": ["backbone"], "optimizer": {"type": "SGD", "learning_rate": 0.1}}
    weights = []
    for accumulate in (1, 3):
        job = tiny_job({**small, **freeze, "accumulate": accumulate})
        trainer = Trainer(job, tmp_path / f"out{accumulate}", verbose=0)
        for layer in trainer.estimator._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        assert trainer.batches.steps == 2 * accumulate
        trainer.run()
        optimizer = trainer.estimator.optimizer
        assert int(optimizer.iterations) == 4
        weights.append([ops.convert_to_numpy(v) for v in trainer.estimator.trainable_variables])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_no_number_stops_and_says_where(tiny_job, tmp_path):
    job = tiny_job({"epochs": 2}, save_every=1)
    trainer = Trainer(job, tmp_path / "out", verbose=0)

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                weight = self.model.trainable_variables[-1]
                weight.assign(np.full(weight.shape, np.nan))

    trainer.callbacks.append(Spoil())
    with pytest.raises(
        TrainingError, match=r"the term loss_kpt of the loss is nan in epoch 2, ba"
    ) as e:
        trainer.run()
    assert "batch 1 (images " in str(e.value)
    assert str(e.value).count(".png") == 4
    kept = Trainer(job, tmp_path / "out", resume=True, verbose=0)
    kept.start.restore(kept.estimator)
    assert kept.start.facts["epoch"] == 1
    assert all(np.isfinite(ops.convert_to_numpy(v)).all() for v in kept.estimator.weights)


def test_patience_stops(tiny_job, tmp_path):
    recipe = {"optimizer": {"type": "SGD", "learning_rate": 0.0}, "epochs": 9}
    val = {"annotations": str(tmp_path / "dots.json")}
    job = tiny_job({**recipe, "freeze": ["backbone"]}, val=val, patience=2)
    assert Trainer(job, tmp_path / "out", verbose=0).run().epochs == 3
    assert Trainer(job, tmp_path / "out", resume=True, verbose=0).run().epochs == 3


def test_whole_images_are_learnt_and_judged_without_boxes(tiny_job, tmp_path):
    val = {"annotations": str(tmp_path / "dots.json")}
    trainer = Trainer(
        tiny_job({"epochs": 1}, val=val, whole_images=True), tmp_path / "o", verbose=0
    )
    assert len(trainer.batches.data) == 32
    run = trainer.run()
    assert run.results["last"].protocol.boxes.startswith("none; the whole image")
    assert run.results["last, boxes given"].protocol.boxes == "ground truth"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ["ap"]}, "sigmas"),
        ({"metrics": ["pckh"]}, "head"),
        ({"metrics": ["pkc"]}, "unknown metric 'pkc'; did you mean pck"),
        ({"recipe": {"monitor": "PCKx"}}, "monitor: unknown number 'PCKx'; did you mean"),
        ({"model": {"skeleton": "coco"}}, "17"),
        ({"recipe": {"batch_size": 4, "accumulate": 3}}, "must be a multiple of accumulate 3"),
        ({"recipe": {"batch_size": 16, "accumulate": 2, "freeze": ["bakbone"]}}, "did you mean"),
        ({"recipe": {"batch_size": 40, "accumulate": 20}}, "has 8 batches of 2, fewer than"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it_begins(tiny_job, tmp_path, settings, message):
    settings = {"val": {"annotations": str(tmp_path / "dots.json")}, **settings}
    if "model" in settings:
        settings["model"] = {"preset": str(tmp_path / "tiny"), **settings["model"]}
    with pytest.raises(ValueError, match=message):
        Trainer(tiny_job(**settings), tmp_path / "out", verbose=0)
    assert not (tmp_path / "out").exists()


class ResourceExhaustedError(Exception):
    """As TensorFlow's is called."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor with shape[64,64,96,72]"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 68719476736 bytes."),
    ],
)
def test_full_memory_says_what_to_lower(error):
    recipe = Recipe({"type": "SGD", "learning_rate": 0.1}, 1, 64)
    message = str(as_training_error(error, recipe, 64))
    assert message.startswith("out of memory with 64 images at a time: --set accumulate=2 takes")
    assert "--batch-size 32" in message
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_numbers_are_found_by_the_names_of_published_recipes():
    recipe = Recipe({"type": "SGD", "learning_rate": 0.1}, 1, 64, monitor="coco/AP")
    assert monitored(recipe, ["AP", "AP50"]) == ("AP", "max")
    other = Recipe({"type": "SGD", "learning_rate": 0.1}, 1, 64, monitor="NME")
    assert monitored(other, ["PCK@0.05", "NME"]) == ("NME", "min")
    part = Recipe({"type": "SGD", "learning_rate": 0.1}, 1, 64, monitor="foot/AP")
    assert monitored(part, ["AP", "body/AP", "foot/AP"]) == ("foot/AP", "max")


def test_judgements_that_count_nobody_are_never_the_best(tmp_path):
    recipe = Recipe({"type": "SGD", "learning_rate": 0.1}, 1, 64)
    judging = JudgeEpochs(None, "error_px", "min", recipe, tmp_path)
    assert not judging.better(-1)
    assert not judging.better(float("nan"))
    assert judging.better(3.0)


def test_a_job_learns_from_a_teacher_and_goes_on_exactly(tiny_job, tmp_path):
    teacher = {"preset": str(tmp_path / "tiny"), "feature_weight": 0.1, "logit_weight": 0}
    job = tiny_job({"epochs": 2}, teacher=teacher)
    whole = Trainer(job, tmp_path / "whole", verbose=0).run()
    row = json.loads((tmp_path / "whole/log.jsonl").read_text().splitlines()[0])
    assert {"loss_kpt", "loss_fea"} <= row.keys()
    assert type(whole.estimator) is TopdownEstimator

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.seen == 5:
                raise KeyboardInterrupt
            self.seen += 1

        seen = 0

    job = tiny_job({"epochs": 2}, teacher=teacher, save_every=1)
    with pytest.raises(KeyboardInterrupt):
        Trainer(job, tmp_path / "out", verbose=0, callbacks=[Stop()]).run()
    rest = Trainer(job, tmp_path / "out", resume=True, verbose=0)
    assert rest.start.facts["step"] == 2
    assert len(rest.start.arrays["model"]) == len(rest.estimator.variables) - len(
        rest.estimator.teacher.variables
    )
    for a, b in zip(whole.estimator.weights, rest.run().estimator.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))


@pytest.mark.parametrize("teacher", [{}, {"preset": "x", "head_only": True}])
def test_a_teacher_is_a_preset_or_the_model_itself(tiny_job, teacher):
    with pytest.raises(ValueError, match="teacher needs a preset to learn from, or head_only"):
        tiny_job(teacher=teacher)


def test_a_share_of_the_images_is_judged_on_and_not_learnt(tiny_job, tmp_path):
    trainer = Trainer(tiny_job({"epochs": 1}, val={"share": 0.25}), tmp_path / "out", verbose=0)
    assert (len(trainer.data), len(trainer.val)) == (12, 4)
    assert not set(trainer.data.image_ids) & set(trainer.val.image_ids)
    protocol = trainer.run().results["last"].protocol
    assert protocol.images == 4
    assert protocol.dataset == "dots.json (4 of 16 images, drawn with seed 7)"
    with pytest.raises(ValueError, match="share must lie between 0 and 1, got 2"):
        Trainer(tiny_job(val={"share": 2}), tmp_path / "no", verbose=0)
