"""Checks a data set: runs the tables of checks and reports."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_pose.datasets.doctor import pictures
from keras_pose.datasets.doctor.contents import Contents, read_contents
from keras_pose.datasets.doctor.report import SEVERITIES, Finding, Report
from keras_pose.datasets.doctor.sheet import draw_sheet
from keras_pose.datasets.doctor.sigmas import estimate_sigmas as sigmas_of
from keras_pose.datasets.doctor.table import (
    CHECKS,
    PICTURE_CHECKS,
    SPLIT_CHECKS,
    SPLIT_NAME_CHECK,
)
from keras_pose.skeleton import Skeleton


def check(
    annotations: str | os.PathLike | Mapping[str, Any],
    images: str | os.PathLike | None = None,
    skeleton: Skeleton | str | os.PathLike | Mapping | None = None,
    against: Sequence[str | os.PathLike | Mapping[str, Any]] = (),
    *,
    estimate_sigmas: bool = False,
    sheet: str | os.PathLike | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Report:
    """Looks for what is wrong with a COCO keypoint file and its images, before training on it.

    Args:
        annotations: path of the JSON file, or its content.
        images: folder that `file_name` is relative to. None: image files are not looked at.
        skeleton: Skeleton, name, path or dict. Default: that of the file's `categories`.
        against: further annotation files (other splits, with the same `images`) that must share
            no image with this one.
        estimate_sigmas: bool, add sigmas to the report's facts, see `sigmas.estimate_sigmas`.
        sheet: optional path of a PNG to write: some objects drawn, those with findings first.
        progress: called with the number of images looked at.

    Returns:
        A Report; `print` it, or see its `findings`.

    Raises:
        FileNotFoundError: for a missing file or folder.
        ValueError: for a file that is no JSON or not in COCO form at all, or no skeleton.

    Example:
        >>> report = check("train.json", "images", against=["val.json"])
        >>> print(report)
        >>> assert report.ok
    """
    contents = read_contents(*_loaded(annotations), images, skeleton)
    others = [read_contents(*_loaded(other), images, skeleton) for other in against]
    found = [(row, row.find(contents)) for row in CHECKS]
    not_checked = []
    if contents.folder is None:
        not_checked.append("image files, because no folder of images was given")
        for other in others:
            row = SPLIT_NAME_CHECK
            found.append((row, row.find(contents, other.name, other.images)))
    else:
        looked = pictures.look_at(contents.images, contents.folder, progress)
        found += [(row, row.find(contents, looked)) for row in PICTURE_CHECKS]
        for other in others:
            theirs = pictures.look_at(other.images, contents.folder)
            found += [(r, r.find(contents, looked, other.name, theirs)) for r in SPLIT_CHECKS]
    findings = [
        Finding(
            row.name,
            hit.severity or row.severity,
            hit.count,
            hit.message,
            row.remedy,
            {key: _plain(value) for key, value in hit.example.items()},
            hit.annotations,
        )
        for row, hit in found
        if hit is not None
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    facts = _facts(contents)
    if estimate_sigmas:
        facts |= _sigma_facts(contents, others, not_checked)
    report = Report(contents.name, facts, tuple(findings), tuple(not_checked))
    if sheet is not None:
        _write_png(Path(sheet), draw_sheet(contents, report))
    return report


def _facts(contents: Contents) -> dict[str, Any]:
    return {
        "images": len(contents.images),
        "objects": len(contents.annotations),
        "keypoints": int(contents.objects.seen.sum()),
        "skeleton": contents.skeleton.name if contents.skeleton else None,
        "num_keypoints": contents.num_keypoints,
    }


def _sigma_facts(contents: Contents, others: list[Contents], not_checked: list[str]) -> dict:
    found = sigmas_of(contents, others)
    if found is None:
        not_checked.append("sigmas, because there are too few comparable objects to estimate them")
        return {}
    return {"sigmas": found[0], "sigmas_method": found[1]}


def _loaded(source) -> tuple[Any, str]:
    """Content and name of an annotation file."""
    if isinstance(source, Mapping):
        return source, "annotations"
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"there is no annotation file {path}")
    try:
        return json.loads(path.read_text(encoding="utf-8")), path.name
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None


def _plain(value):
    """What JSON can hold."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if isinstance(value, int | float | str | None) else repr(value)


def _write_png(path: Path, picture) -> None:
    import cv2

    from keras_pose.files import replacing, writable_folder

    writable_folder(path.parent)
    with replacing(path) as partial:
        done, data = cv2.imencode(".png", picture[..., ::-1])
        if not done:
            raise ValueError(f"cannot write {path} as a PNG")
        partial.write_bytes(data.tobytes())
