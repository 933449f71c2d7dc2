"""`import_dataset`: any label file as COCO."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_pose.datasets.importers.assembling import Assembly
from keras_pose.datasets.importers.formats import FORMATS, find_format
from keras_pose.datasets.importers.report import ImportReport
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.writing import write_coco
from keras_pose.skeleton import Skeleton


@dataclass
class ImportedDataset:
    """Labels of another tool as COCO.

    Args:
        coco: dict with `images`, `annotations` and `categories`, as `KeypointDataset.from_coco`
            reads it.
        images: folder that `file_name` of the images is relative to.
        skeletons: category name -> Skeleton: what COCO cannot say, above all the left/right pairs.
        report: counts, and what was left out and why; `print` it.
        files: the skeleton files that were written, by category; empty without `out`.
    """

    coco: dict[str, Any]
    images: Path
    skeletons: dict[str, Skeleton]
    report: ImportReport
    files: dict[str, Path]

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the only category."""
        if len(self.skeletons) != 1:
            raise ValueError(
                f"there are {len(self.skeletons)} categories ({', '.join(self.skeletons)}): take "
                "one of `skeletons`"
            )
        return next(iter(self.skeletons.values()))

    def dataset(self, category: str | None = None) -> KeypointDataset:
        """The objects as a KeypointDataset.

        Args:
            category: name. Default: the only one.
        """
        skeleton = self.skeleton if category is None else self.skeletons[category]
        name = category or next(iter(self.skeletons))
        return KeypointDataset.from_coco(
            self.coco, self.images, skeleton=skeleton, category=name, name=self.report.source
        )


def import_dataset(
    source: str | os.PathLike,
    out: str | os.PathLike | None = None,
    format: str | None = None,
    images: str | os.PathLike | None = None,
    split: str | Iterable[str] | None = None,
    category: str | None = None,
    skeleton: Skeleton | str | os.PathLike | Mapping | None = None,
    box_padding: float = 0.1,
) -> ImportedDataset:
    """Reads labels of another tool, and writes them as COCO.

    DeepLabCut and lightning-pose, SLEAP, YOLO-pose, CVAT, Label Studio, dlib, MPII's MATLAB file,
    and the COCO files of other tools; docs/import.md says what is read of each. Coordinates are
    taken over as they are, to four decimals. Where a file has no boxes they are made of the
    keypoints; where it has no areas they are 0.53 of the box's. Images without a file, or whose
    file cannot be read, are left out and counted.

    Args:
        source: label file, or folder of the project.
        out: JSON file to write; a skeleton is written beside it (`NAME.skeleton.json`, with several
            categories `NAME.CATEGORY.skeleton.json`). Default: nothing is written.
        format: key of `FORMATS`, such as `"deeplabcut"`. Default: told from the content.
        images: folder where the image files lie, and that their names become relative to. Frames
            that lie in a video or in the label file are written there as PNG. Default: where the
            source says; for frames the folder `NAME_images` beside `out`.
        split: names of the splits to read, such as `"train"`. Default: all; each image then says in
            `split` which it belongs to.
        category: name of the category to read. Default: all that have keypoints.
        skeleton: Skeleton, name, path or dict that the keypoints stand for: it gives them names,
            links and pairs where the file has none, and an order. Default: made of the file, with
            pairs from the file (YOLO's `flip_idx`, SLEAP's symmetries), else from the names.
        box_padding: float, boxes that are made reach beyond the keypoints by this share of their
            longer side, and by at least 5 pixels.

    Returns:
        An ImportedDataset.

    Raises:
        FileNotFoundError: the source is missing, or none of its images is found.
        ValueError: the file is damaged or of no known format; the message says where.
        ImportError: a package that reads this format is missing.

    Example:
        >>> mice = import_dataset("openfield-Pranav-2018-10-30", "mice.json")
        >>> print(mice.report)
        >>> mice.skeleton.keypoints
        ('snout', 'leftear', 'rightear', 'tailbase')
    """
    source = Path(source)
    if not 0 <= box_padding <= 10:
        raise ValueError(f"box_padding must be 0 to 10, got {box_padding}")
    chosen = None if skeleton is None else Skeleton.resolve(skeleton)
    name = find_format(source, format)
    out = None if out is None else Path(out)
    if out is not None and out.suffix.lower() != ".json":
        raise ValueError(f"COCO is written as .json, got {out}")
    if out is not None and source.is_file() and out.exists() and out.samefile(source):
        raise ValueError(f"{out} is the source itself: choose another name")
    if images is not None:
        images = Path(images)
    report = ImportReport(FORMATS[name].title, str(source))
    assembly = Assembly(
        FORMATS[name].read(source),
        report,
        images=images,
        frames=out.with_name(f"{out.stem}_images") if out is not None else None,
        split=[split] if isinstance(split, str) else list(split) if split else None,
        category=category,
        skeleton=chosen,
        box_padding=box_padding,
    )
    files = {}
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_coco(assembly.coco, out)
        for title, each in assembly.skeletons.items():
            infix = "" if len(assembly.skeletons) == 1 else f".{_file_name(title)}"
            files[title] = out.with_name(f"{out.stem}{infix}.skeleton.json")
            each.save(files[title])
    return ImportedDataset(assembly.coco, assembly.folder, assembly.skeletons, report, files)


def _file_name(title: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in title)
