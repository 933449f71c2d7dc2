"""`keras_pose.export`: a model as a file for other runtimes."""

import dataclasses
import os
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_pose.artifacts import parity
from keras_pose.artifacts.formats import Format, find_format
from keras_pose.artifacts.inputs import IMAGES, input_of
from keras_pose.artifacts.messages import need, one_sentence
from keras_pose.artifacts.processes import run_artifact, run_child
from keras_pose.artifacts.runtimes import runtime_version
from keras_pose.artifacts.sidecar import (
    artifact_hash,
    describe,
    reference_path,
    sidecar_path,
    write_sidecar,
)
from keras_pose.artifacts.writers import write_artifact
from keras_pose.files import writable_folder
from keras_pose.model import ImageModel
from keras_pose.preset import file_hash, load_preset


def export(
    model: ImageModel,
    path: str | Path,
    format: str = "tf_saved_model",
    decode: bool = True,
    flip_test: bool = False,
    batch_size: int | None = None,
    parity_images: np.ndarray | None = None,
    metadata: dict | None = None,
) -> Path:
    """Writes a model for other runtimes: uint8 images in, keypoints or boxes out; of a lifter
    windows of 2D poses in, 3D poses out.

    Normalisation and decoding are inside. Beside the artifact lie `<path>.json` with all that its
    users need to know (skeleton, geometry of crops, outputs, hash) and `<path>.npz` with what
    `verify` compares with; in a SavedModel they are `keras_pose.json` and `keras_pose.npz`. Every
    export runs the artifact in its own runtime and compares it with Keras.

    A format that the present backend cannot write is written by a child process under one that
    can (`pip install keras-pose[export]`); classes of your own are unknown there, so such models
    are exported with that backend in the first place. Models that compute in half precision are
    exported in float32.

    Args:
        model: estimator, lifter or detector.
        path: the file (`.tflite`, `.onnx`), or the folder of a SavedModel. An earlier one is
            replaced, once the new one is good.
        format: "tf_saved_model", "litert" or "onnx".
        decode: bool, keypoints (boxes) in input pixels; False: the head's raw outputs.
        flip_test: bool, average with the mirrored images inside; twice the time.
        batch_size: int; None for any.
        parity_images: `(M, h, w, 3)` uint8 of the model's input size (of a lifter its windows of
            poses), compared with Keras in addition to the package's own.
        metadata: facts for the sidecar, e.g. `preset.read_metadata(handle)`.

    Returns:
        The path.

    Raises:
        ImportError: a package is missing; the message says how to install it.
        ValueError: an argument is not valid, the format has no operation for a part of the model,
            or the artifact computes something else than Keras. Nothing is left behind then.

    Example:

    ```python
    estimator = keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco")
    keras_pose.export(estimator, "movenet.tflite", format="litert")
    ```
    """
    path = Path(path)
    kind = _checked(model, path, format, flip_test, batch_size)
    source = input_of(model)
    extra = [] if parity_images is None else [source.checked(parity_images, "parity_images")]
    backend = _writing_backend(kind)
    need((*kind.writers[backend], kind.runtime), f"exporting to {kind.title}")
    writable_folder(path.parent)
    with tempfile.TemporaryDirectory(prefix=".keras-pose-", dir=path.parent) as folder:
        model = _in_float32(model, Path(folder) / "float32")
        small = source.samples(model.input_size)
        images = np.concatenate([source.filled(small), *extra])
        reference = parity.keras_outputs(model, images, decode, flip_test)
        draft = Path(folder) / path.name
        options = {
            "format": kind.name,
            "decode": decode,
            "flip_test": flip_test,
            "batch_size": batch_size,
        }
        found = _written_and_run(model, draft, kind, backend, options, images)
        differences = _checked_parity(kind, reference, found, decode, source.name)
        own = {name: value[: len(small)] for name, value in reference.items()}
        parity.write_reference(reference_path(draft), small, parity.sampled(own, decode))
        facts = describe(model, kind, reference, decode, flip_test, batch_size, metadata)
        facts["sha256"] = artifact_hash(draft)
        facts["parity"] = _parity_facts(kind, differences, len(images), reference_path(draft))
        write_sidecar(draft, facts)
        _move(draft, path)
    return path


def _checked(model, path: Path, format: str, flip_test: bool, batch_size) -> Format:
    if not isinstance(model, ImageModel):
        raise ValueError(
            "model must be an estimator or a detector of keras_pose, got "
            f"{type(model).__name__} (other Keras models have their own export)"
        )
    kind = find_format(format)
    if kind.suffix and path.suffix != kind.suffix:
        raise ValueError(
            f"path must end with {kind.suffix} for the format {kind.name}, got {path.name!r}"
        )
    if flip_test and not hasattr(model, "skeleton"):
        raise ValueError("flip_test is for pose estimators; a detector has no flip test")
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise ValueError(f"batch_size must be a positive integer or None, got {batch_size!r}")
    if path.is_dir():
        replaceable = (path / "saved_model.pb").is_file() or not any(path.iterdir())
        if kind.suffix or not replaceable:
            raise ValueError(f"path {path} is a folder that holds something else")
    elif path.exists() and not kind.suffix:
        raise ValueError(f"path {path} is a file; a SavedModel is a folder")
    return kind


def _writing_backend(kind: Format) -> str:
    present = keras.backend.backend()
    return present if present in kind.writers else next(iter(kind.writers))


def _in_float32(model: ImageModel, folder: Path) -> ImageModel:
    """The model, or a copy of it that computes in float32."""
    if all(layer.compute_dtype == "float32" for layer in model._flatten_layers()):
        return model
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return load_preset(model.save_to_preset(folder))
    finally:
        keras.config.set_dtype_policy(policy)


def _written_and_run(model, draft, kind, backend, options, images) -> dict[str, np.ndarray]:
    """Writes the draft under the backend and returns its outputs in its own runtime."""
    try:
        if backend == keras.backend.backend():
            write_artifact(model, draft, **options)
            return run_artifact(draft, images)
        preset = model.save_to_preset(draft.with_name("preset"))
        job = {"path": str(draft), "preset": str(preset), **options}
        if kind.runtime == backend:
            return run_child(backend, job, images)
        run_child(backend, job)
        return run_artifact(draft, images)
    except Exception as error:
        here = backend == keras.backend.backend()
        place = "" if here else f" in a process of its own under {backend}"
        raise ValueError(
            f"exporting to {kind.title}{place} failed: {one_sentence(error)}"
        ) from error


def _checked_parity(kind: Format, reference, found, decode, source) -> dict[str, parity.Difference]:
    differences = parity.compare(reference, found, decode, in_pixels=source == IMAGES)
    for name, difference in differences.items():
        if not difference.ok:
            raise ValueError(
                f"the {kind.title} model is not kept, because its {name} are not those of Keras: "
                f"{difference}"
            )
    return differences


def _parity_facts(kind: Format, differences, count: int, reference: Path) -> dict:
    return {
        "images": count,
        "differences": {
            name: dataclasses.asdict(difference) for name, difference in differences.items()
        },
        "rule": parity.RULE,
        "runtime": runtime_version(kind),
        "reference_sha256": file_hash(reference),
    }


def _move(draft: Path, path: Path) -> None:
    """Brings a finished draft and what lies beside it to its place."""
    if draft.is_dir():
        if path.exists():
            os.replace(path, draft.with_name("replaced"))
        os.replace(draft, path)
        return
    for place in (sidecar_path, reference_path):
        os.replace(place(draft), place(path))
    os.replace(draft, path)
