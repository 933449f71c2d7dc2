"""The formats of exported models: who can write them and what runs them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Format:
    """A format.

    Args:
        name: as `export` and Keras call it.
        title: as people call it.
        suffix: of its files; empty for a folder.
        writers: backends that can write it, best first, each with the modules that it needs.
        runtime: module that runs it.
    """

    name: str
    title: str
    suffix: str
    writers: dict[str, tuple[str, ...]]
    runtime: str


FORMATS = {
    one.name: one
    for one in (
        Format("tf_saved_model", "SavedModel", "", {"tensorflow": ("tensorflow",)}, "tensorflow"),
        Format("litert", "LiteRT", ".tflite", {"tensorflow": ("tensorflow",)}, "ai_edge_litert"),
        Format(
            "onnx",
            "ONNX",
            ".onnx",
            {"tensorflow": ("tensorflow", "tf2onnx", "onnx")},
            "onnxruntime",
        ),
    )
}


def find_format(name: str) -> Format:
    """The format of a name.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def format_of(path: str | Path) -> Format:
    """The format of an artifact that exists, by its looks.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: it is none of `FORMATS`.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no exported model {path}")
    if (path / "saved_model.pb").is_file():
        return FORMATS["tf_saved_model"]
    for one in FORMATS.values():
        if one.suffix and path.is_file() and path.suffix == one.suffix:
            return one
    raise ValueError(
        f"{path} is no exported model: neither a .tflite or .onnx file nor the folder of a "
        "SavedModel"
    )
