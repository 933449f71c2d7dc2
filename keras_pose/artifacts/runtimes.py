"""Exported models as functions, each run by its own runtime; Keras takes no part."""

from pathlib import Path

import numpy as np

from keras_pose.artifacts.formats import Format, format_of
from keras_pose.artifacts.messages import need, one_sentence


class Artifact:
    """An exported model as a function of a batch of images.

    Attributes:
        input_shape: (batch, height, width, 3), of lifters (batch, frames, keypoints, 2); batch is
            None where any is allowed.
        input_dtype: uint8 for images, float32 for poses.

    Args:
        path: file or folder.
        threads: int, how many it may use; None leaves it to the runtime. TensorFlow's are set for
            the whole process and not here.
    """

    input_shape: tuple[int | None, ...]
    input_dtype: np.dtype

    def __init__(self, path: Path, threads: int | None = None):
        raise NotImplementedError

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name.

        Args:
            images: `(B, h, w, 3)` uint8 RGB of the model's input size; of lifters windows of poses
                `(B, T, K, 2)` float32.

        Raises:
            ValueError: for another shape or dtype.
        """
        images = np.asarray(images)
        fits = images.ndim == len(self.input_shape) and all(
            size in (None, actual)
            for size, actual in zip(self.input_shape, images.shape, strict=True)
        )
        if not fits or images.dtype != self.input_dtype:
            shape = ", ".join("B" if size is None else str(size) for size in self.input_shape)
            raise ValueError(
                f"{self._name} must be ({shape}) {self.input_dtype.name}, got {images.shape} "
                f"{images.dtype.name}"
            )
        return self._run(np.ascontiguousarray(images))

    def _run(self, images):
        raise NotImplementedError


class SavedModelArtifact(Artifact):
    """A SavedModel in TensorFlow."""

    def __init__(self, path, threads=None):
        import tensorflow as tf

        # The signature holds its variables by weak references only.
        self._model = tf.saved_model.load(str(path))
        self._function = self._model.signatures["serving_default"]
        ((self._name, spec),) = self._function.structured_input_signature[1].items()
        self.input_shape = tuple(spec.shape)
        self.input_dtype = np.dtype(spec.dtype.as_numpy_dtype)

    def _run(self, images):
        import tensorflow as tf

        outputs = self._function(**{self._name: tf.constant(images)})
        return {name: value.numpy() for name, value in outputs.items()}


class LiteRTArtifact(Artifact):
    """A `.tflite` file in LiteRT."""

    def __init__(self, path, threads=None):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._function = self._interpreter.get_signature_runner()
        ((self._name, details),) = self._function.get_input_details().items()
        # A batch other than that of a static file would run and give wrong numbers.
        shape = details["shape_signature"]
        self.input_shape = tuple(None if size < 0 else int(size) for size in shape)
        self.input_dtype = np.dtype(details["dtype"])

    def _run(self, images):
        return dict(self._function(**{self._name: images}))


class ONNXArtifact(Artifact):
    """An `.onnx` file in ONNX Runtime, on the CPU."""

    def __init__(self, path, threads=None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        (declared,) = self._session.get_inputs()
        self._name = declared.name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.input_shape = tuple(n if isinstance(n, int) else None for n in declared.shape)
        self.input_dtype = np.dtype({"tensor(uint8)": "uint8"}.get(declared.type, "float32"))

    def _run(self, images):
        values = self._session.run(self._outputs, {self._name: images})
        return dict(zip(self._outputs, values, strict=True))


_ARTIFACTS = {
    "tf_saved_model": SavedModelArtifact,
    "litert": LiteRTArtifact,
    "onnx": ONNXArtifact,
}


def load_artifact(path: str | Path, threads: int | None = None) -> Artifact:
    """An exported model as a function of `(B, h, w, 3)` uint8 images that returns its outputs.

    Args:
        path: a `.tflite` or `.onnx` file or the folder of a SavedModel.
        threads: int, see `Artifact`.

    Raises:
        FileNotFoundError: there is nothing.
        ImportError: the runtime is not installed.
        ValueError: it is no such model, or a damaged one.

    Example:

    ```python
    model = keras_pose.artifacts.load_artifact("movenet.tflite")
    outputs = model(np.zeros((1, 192, 192, 3), "uint8"))
    outputs["keypoints"], outputs["scores"]
    ```
    """
    format = format_of(path)
    need([format.runtime], f"running a {format.title} model")
    try:
        return _ARTIFACTS[format.name](Path(path), threads)
    except Exception as error:
        raise ValueError(f"{path} cannot be loaded: {one_sentence(error)}") from error


def run_batches(artifact: Artifact, images: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs for any number of images: one alone, then the others together where that is allowed.

    Args:
        artifact: the model; one of a fixed batch gets batches of that, the last filled with zeros.
        images: `(M, h, w, 3)` uint8.
    """
    fixed = artifact.input_shape[0]
    cuts = [0, 1] if fixed is None else range(0, len(images), fixed)
    parts = []
    for start, end in zip(cuts, [*cuts[1:], len(images)], strict=True):
        batch = images[start:end]
        missing = 0 if fixed is None else fixed - len(batch)
        padding = np.zeros((missing, *images.shape[1:]), images.dtype)
        if len(batch):
            outputs = artifact(np.concatenate([batch, padding]))
            parts.append({name: value[: len(batch)] for name, value in outputs.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def runtime_version(format: Format) -> str:
    """Name and version of what runs a format, e.g. "onnxruntime 1.32.0"."""
    from importlib.metadata import packages_distributions, version

    package = packages_distributions().get(format.runtime, [format.runtime])[0]
    return f"{package} {version(package)}"
