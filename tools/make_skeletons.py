"""Writes presets/skeletons/*.json from a folder of MMPose's data set descriptions ("metainfo").

    python tools/make_skeletons.py METAINFO_FOLDER OUT

Every file keeps its name. Faults of the source are repaired, and the file's "notes" say which.
"""

import argparse
import json
from pathlib import Path

from keras_pose.skeleton import Skeleton, format_json

# What is odd in the source but not for us to change: models were trained on it.
REMARKS = {
    "300wlp": "the source declares no swapped pairs, although the 68 points are those of 300w",
    "ubody3d": "the source links the left ring finger but not the right one",
}


def convert(data: dict) -> dict:
    """The content of a skeleton file for one metainfo file."""
    points, notes = data["keypoints"], []
    swap = {point["name"]: point["swap"] or None for point in points}
    part = {point["name"]: point["type"] or None for point in points}
    weights = list(data["joint_weights"])

    if data["dataset_name"] != data["file"]:
        notes.append(f"named as its file; the source calls the data set {data['dataset_name']!r}")
    if moved := [point["id"] for point in points if "declared_id" in point]:
        where = f"{moved[0]} to {moved[-1]}" if len(moved) > 1 else f"{moved[0]}"
        notes.append(f"the ids that the source declares for positions {where} are wrong: dropped")
    for name, partner in list(swap.items()):
        if partner and swap[partner] is None:
            swap[partner] = name
            notes.append(f"{partner} swaps with {name}: the source says it of {name} only")
    for name, partner in swap.items():
        if partner and part[name] != part[partner]:
            notes.append(f"{partner} is {part[name]} like {name}; the source says {part[partner]}")
            part[partner] = part[name]
    for point in points[len(weights) :]:
        weights.append(1.0)
        notes.append(f"joint weight 1.0 of {point['name']} added: the source has one too few")
    if data["file"] in REMARKS:
        notes.append(REMARKS[data["file"]])

    skeleton = Skeleton(
        data["file"],
        [point["name"] for point in points],
        links=[link["link"] for link in data["skeleton"]],
        swaps=[(name, partner) for name, partner in swap.items() if partner],
        sigmas=data["sigmas"] or None,
        joint_weights=weights,
        keypoint_colors=[point["color"] for point in points],
        link_colors=[link["color"] for link in data["skeleton"]],
        upper_body=[name for name in part if part[name] == "upper"],
        lower_body=[name for name in part if part[name] == "lower"],
    )
    content = skeleton.to_dict()
    about = {
        "dataset_name": data["dataset_name"] if data["dataset_name"] != data["file"] else None,
        "notes": notes,
        "papers": data["papers"],
        "extra": data.get("extra"),
    }
    name = content.pop("name")
    return {"name": name} | {key: value for key, value in about.items() if value} | content


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("metainfo", type=Path, help="folder with one JSON file per data set")
    parser.add_argument("out", type=Path, help="folder to write to, e.g. presets/skeletons")
    arguments = parser.parse_args()
    sources = sorted(arguments.metainfo.glob("*.json"))
    if not sources:
        parser.error(f"no *.json in {arguments.metainfo}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for source in sources:
        content = convert(json.loads(source.read_text(encoding="utf-8")))
        (arguments.out / source.name).write_text(format_json(content), encoding="utf-8")
        for note in content.get("notes", ()):
            print(f"{source.stem}: {note}")
    print(f"{len(sources)} skeletons written to {arguments.out}")


if __name__ == "__main__":
    main()
