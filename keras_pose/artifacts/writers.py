"""Writing a model in each format, under a backend that can."""

import warnings
from contextlib import nullcontext
from pathlib import Path

from keras_pose.artifacts.inputs import input_of


def write_artifact(
    model, path: Path, format: str, decode: bool, flip_test: bool, batch_size: int | None
) -> None:
    """Writes the predicting part of a model: images (or 2D poses) in, decoded or raw outputs out.

    Args:
        model: estimator, lifter or detector, computing in float32.
        path: file or folder to write.
        format: a key of `FORMATS` that the present backend can write.
        decode: bool, whether decoding is a part of it.
        flip_test: bool, average with the mirrored images.
        batch_size: int, or None for any.

    Raises:
        ValueError: the format has no operation for a part of the model.
    """
    signature = [input_of(model).signature(batch_size)]
    with warnings.catch_warnings(), _graph(format):
        warnings.simplefilter("ignore")
        model.inference(flip_test, decode).export(
            str(path), format=format, input_signature=signature, verbose=False
        )
    if format in _FINISH:
        _FINISH[format](path)


def _graph(format: str):
    """Within which the graph of a format is made."""
    if format != "onnx":
        return nullcontext()
    from keras_pose.layers.convolution_tensorflow import convolutions_for_converters

    return convolutions_for_converters()


def _check_builtin(path: Path) -> None:
    """Refuses operations that the plain LiteRT runtime does not have."""
    from ai_edge_litert import schema_py_generated as schema

    content = schema.Model.GetRootAs(path.read_bytes(), 0)
    codes = [content.OperatorCodes(i) for i in range(content.OperatorCodesLength())]
    custom = sorted({code.CustomCode().decode() for code in codes if code.CustomCode()})
    if custom:
        raise ValueError(
            f"LiteRT has no builtin operation for {', '.join(custom)}; the model must do without"
        )


def _name_batch(path: Path) -> None:
    """Calls the free dimension of inputs and outputs "batch"; the converter numbers them."""
    import onnx

    model = onnx.load(path)
    for tensor in (*model.graph.input, *model.graph.output):
        first = tensor.type.tensor_type.shape.dim[0]
        if not first.HasField("dim_value"):
            first.dim_param = "batch"
    onnx.save(model, path)


_FINISH = {"litert": _check_builtin, "onnx": _name_batch}
