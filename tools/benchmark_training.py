"""Times training steps of ResNet-50 SimpleBaseline at 256x192 beside plain PyTorch.

`tools/benchmark.py training` runs it: every backend in a process of its own, our compiled step on
a synthetic batch, and the same layers in plain PyTorch with its own Adam, both with normalisation
of uint8 pixels, encoded heatmaps, loss and update. With `--device gpu` it is mixed precision at
batch 64 beside automatic mixed precision, in samples a second.
"""

import functools
import importlib.util
import os
import time

PRESET = "td-hm_res50_8xb64-210e_coco-256x192"
BATCHES = {"cpu": 8, "gpu": 64}
# Where ours takes more than so many times as long, its parts are shown.
EXPLAIN = 1.5
STEPS = int(os.environ.get("TRAINING_STEPS", "8"))


def _batch(size: int):
    """Images and labels of one batch of random people."""
    import numpy as np

    random = np.random.default_rng(0)
    images = random.integers(0, 255, (size, 256, 192, 3), "uint8")
    points = random.uniform([0, 0], [192, 256], (size, 1, 17, 2)).astype("float32")
    visible = (random.random((size, 1, 17)) < 0.8).astype("float32")
    return images, {"keypoints": points, "visible": visible}


def _median_ms(step, wait=lambda: None) -> float:
    """Median milliseconds of a step after three others, which compile and reserve memory."""
    for _ in range(3):
        step()
    wait()
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        wait()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[len(times) // 2]


def worker_training_step(device: str) -> dict:
    """Our step as `fit` runs it, from batches of a data set to logs."""
    estimator = _estimator(device)
    images, labels = _batch(BATCHES[device])
    watch = _Stopwatch()
    estimator.fit(_repeated(images, labels, STEPS + 3), verbose=0, callbacks=[watch.callback()])
    return {"ms": watch.median()}


def worker_training_parts(device: str) -> dict:
    """Where the time of our step goes."""
    import keras

    estimator = _estimator(device)
    parts = _torch_parts if keras.backend.backend() == "torch" else _compiled_parts
    return parts(estimator, *_batch(BATCHES[device]))


def _estimator(device: str):
    import keras

    import keras_pose
    from keras_pose.training.optimizers import Adam

    if device == "gpu":
        keras.config.set_dtype_policy("mixed_float16")
    estimator = keras_pose.TopdownEstimator.from_preset(PRESET, load_weights=False)
    estimator.compile(optimizer=Adam(5e-4))
    estimator.optimizer.build(estimator.trainable_variables)
    return estimator


class _Stopwatch:
    """Milliseconds from one step of `fit` to the next, data and metrics included."""

    def __init__(self):
        self.times = []

    def callback(self):
        import keras

        def note(batch, logs):
            float(logs["loss"])  # waits for the device
            self.times.append(time.perf_counter())

        return keras.callbacks.LambdaCallback(on_train_batch_end=note)

    def median(self) -> float:
        gaps = [b - a for a, b in zip(self.times[2:], self.times[3:], strict=False)]
        return sorted(gaps)[len(gaps) // 2] * 1e3


def _repeated(images, labels, steps: int):
    """One batch again and again, as a generator."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensors((images, labels)).repeat(steps).prefetch(2)


def _compiled_parts(estimator, images, labels) -> dict:
    """What the forward pass and a step whose update costs next to nothing take when compiled."""
    import keras

    forward = _median_ms(_forward(estimator, images))
    estimator.compile(optimizer=keras.optimizers.SGD(0.0))
    step = functools.partial(estimator.train_on_batch, images, labels, return_dict=True)
    return {"forward": forward, "without Adam": _median_ms(step)}


def _forward(estimator, images):
    """The forward pass of training as a function of nothing."""
    import keras
    from keras import ops

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        run = tf.function(lambda x: estimator(x, training=True)["heatmaps"][0, 0, 0, 0])
        return lambda: float(run(images))
    import jax

    trained = [v.value for v in estimator.trainable_variables]
    fixed = [v.value for v in estimator.non_trainable_variables]

    @jax.jit
    def run(trained, fixed, x):
        outputs, fixed = estimator.stateless_call(trained, fixed, x, training=True)
        return ops.sum(outputs["heatmaps"]), fixed

    return lambda: float(run(trained, fixed, images)[0])


def _torch_parts(estimator, images, labels) -> dict:
    """The parts of a step under PyTorch, one after the other."""
    import torch

    x = torch.as_tensor(images).to(_torch_device())
    y = {key: torch.as_tensor(value).to(_torch_device()) for key, value in labels.items()}
    parts: dict[str, list] = {"forward": [], "loss and metrics": [], "backward": [], "update": []}
    for _ in range(STEPS // 2 + 2):
        marks = [_now()]
        outputs = estimator(x, training=True)
        marks.append(_now())
        loss = estimator.compute_loss(x, y, outputs)
        marks.append(_now())
        estimator.zero_grad()
        estimator.optimizer.scale_loss(loss).backward()
        marks.append(_now())
        weights = list(estimator.trainable_weights)
        with torch.no_grad():
            estimator.optimizer.apply([w.value.grad for w in weights], weights)
        marks.append(_now())
        for times, start, end in zip(parts.values(), marks, marks[1:], strict=False):
            times.append((end - start) * 1e3)
    return {name: sorted(times)[len(times) // 2] for name, times in parts.items()}


def _torch_device():
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _now() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def worker_plain_training_step(device: str) -> dict:
    """The same layers, targets, loss and Adam in PyTorch."""
    import plain_torch

    images, labels = _batch(BATCHES[device])
    step = plain_torch.TrainingStep(images, labels, _torch_device(), half=device == "gpu")
    return {"ms": _median_ms(step, _now), **step.parts(STEPS // 2 + 2)}


def section(measure, backends: list[str], rounds: int, device: str) -> None:
    """Prints the table; `measure` runs a worker in a process of its own."""
    if not importlib.util.find_spec("torch"):
        print("\ntraining: left out, PyTorch is not installed to compare with")
        return
    if device == "gpu" and not _has_gpu():
        print("\ntraining on a GPU: left out, the installed PyTorch sees none")
        return
    runs = {"plain torch": ("plain_training_step", "torch", device)}
    runs |= {backend: ("training_step", backend, device) for backend in backends}
    best: dict[str, dict] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            found = measure(*run)
            if name not in best or found["ms"] < best[name]["ms"]:
                best[name] = found
    size, precision = BATCHES[device], "mixed precision" if device == "gpu" else "float32"
    print(f"\nTraining step of ResNet-50 SimpleBaseline 256x192, batch {size}, {precision}")
    plain = best["plain torch"]["ms"]
    for name, found in best.items():
        ratio = found["ms"] / plain
        speed = size / found["ms"] * 1e3
        print(f"  {name:12s} {found['ms']:8.1f} ms {speed:8.1f} samples/s {ratio:6.2f} x plain")
        parts = {key: value for key, value in found.items() if key != "ms"}
        if ratio > EXPLAIN:
            parts = measure("training_parts", name, device)
        if parts:
            print("    " + ", ".join(f"{key} {value:.1f}" for key, value in parts.items()))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
