"""Whether an artifact still computes what Keras computed when it was exported."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np

from keras_pose.artifacts.formats import format_of
from keras_pose.artifacts.inputs import IMAGES, ArtifactInput
from keras_pose.artifacts.messages import need
from keras_pose.artifacts.parity import (
    SCORE_THRESHOLD,
    Difference,
    compare,
    read_reference,
    sampled,
)
from keras_pose.artifacts.processes import run_artifact
from keras_pose.artifacts.sidecar import (
    artifact_hash,
    read_sidecar,
    reference_path,
    sidecar_path,
)
from keras_pose.preset import file_hash


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` has found.

    Args:
        path: the artifact.
        format: its format.
        images: int, how many images were run.
        differences: `Difference` from Keras per output.
        problems: sentences; none if all is well.
    """

    path: Path
    format: str
    images: int = 0
    differences: dict[str, Difference] = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the artifact is what was exported and computes what it did."""
        return not self.problems

    def __str__(self) -> str:
        verdict = "good" if self.ok else "NOT good"
        lines = [f"{self.path} ({self.format}): {verdict}"]
        lines += [f"  {problem}" for problem in self.problems]
        lines += [
            f"  {name}: {difference}, {difference.compared} of {difference.total} numbers compared"
            for name, difference in self.differences.items()
        ]
        if any(difference.unit for difference in self.differences.values()):
            lines.append(f"  (those with a score above {SCORE_THRESHOLD}, if there are any)")
        return "\n".join(lines)


def verify(path: str | Path) -> Verification:
    """Checks an exported model: its hash, and its outputs in its own runtime.

    The images and the outputs of Keras were stored beside the artifact when it was exported; the
    original model is not needed.

    Args:
        path: a `.tflite` or `.onnx` file or the folder of a SavedModel.

    Returns:
        `Verification`; its `ok` says whether all is well, printing it says what was found.

    Raises:
        FileNotFoundError: there is no such artifact.
        ImportError: its runtime is not installed.
        ValueError: it was not exported by this package, or what lies beside it is damaged.

    Example:

    ```python
    report = keras_pose.verify("movenet.tflite")
    report.ok, report.differences["keypoints"].largest
    ```
    """
    path = Path(path)
    format = format_of(path)
    facts = read_sidecar(path)
    need([format.runtime], f"running a {format.title} model")
    report = Verification(path, format.name)
    try:
        if artifact_hash(path) != facts["sha256"]:
            # What was changed is not loaded: a damaged file can crash its runtime.
            problem = "it was changed after the export: its SHA-256 is not that of the sidecar"
            return dataclasses.replace(report, problems=(problem,))
        if file_hash(reference_path(path)) != facts["parity"]["reference_sha256"]:
            problem = f"{reference_path(path).name} was changed after the export"
            return dataclasses.replace(report, problems=(problem,))
        decode, given = facts["decode"], facts["input"]
        source = ArtifactInput(given["name"], tuple(given["shape"][1:]), given["dtype"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{sidecar_path(path)} is not a complete sidecar: {error!r}") from None
    except FileNotFoundError:
        raise ValueError(
            f"{path} has no {reference_path(path).name}, which holds the values to compare with"
        ) from None
    small, reference = _stored(path)
    images = source.filled(small)
    report = dataclasses.replace(report, images=len(images))
    try:
        found = sampled(run_artifact(path, images), decode)
        differences = compare(reference, found, decode, in_pixels=source.name == IMAGES)
    except ValueError as error:
        return dataclasses.replace(report, problems=(str(error),))
    problems = tuple(
        f"{name} are not those of Keras: {difference}"
        for name, difference in differences.items()
        if not difference.ok
    )
    return dataclasses.replace(report, differences=differences, problems=problems)


def _stored(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    place = reference_path(path)
    try:
        return read_reference(place)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{place} is damaged: {error}") from None
