"""Writes presets/zoo.json, a row for every checkpoint of a pose model that MMPose publishes.

    python tools/make_presets.py ZOO_FOLDER OUT

The folder holds zoo.json.gz and state_dicts.json.xz: facts of the published checkpoints, from
MMPose's own configs and result tables. Parts of models and protocols that rows share are written
once. A last table holds fingerprints of the names and shapes of weights, by which an unknown
checkpoint is told.
"""

import argparse
import gzip
import json
import lzma
import re
from collections import Counter
from pathlib import Path

from keras_pose.checkpoints.mmpose.config_file import bottomup_resize
from keras_pose.preset import zoo
from keras_pose.preset.fingerprints import fingerprint

PARTS = ("backbone", "neck", "head", "data_preprocessor", "test_cfg")
PARTS += ("traj_backbone", "traj_head")
SCHEDULE = re.compile(r"[-_]\d+xb\d+(?:-\d+e)?_")
SIZE = re.compile(r"-(\d+(?:x\d+)?)(?:-(\w+))?$")
# Families that this package does not have.
ABSENT = {"edpose": "ED-Pose is not in this package"}
# The types of MMPose's models that are read.
TYPES = tuple(zoo.TASKS)
# MMPose's abbreviations, and what a word of its config names means, in the order of replacement.
WORDS = [
    (r"^td-hm-vis_(.*)", r"\1-visibility"),
    (r"^td-hm_", ""),
    (r"^td-reg_", "regression-"),
    (r"^ipr_", "integral-"),
    (r"(?<![a-z])res(\d+)", r"resnet\1"),
    (r"(?<![a-z])mbv3(?![a-z0-9])", "mobilenet-v3"),
    (r"mobilenetv2", "mobilenet-v2"),
    (r"shufflenetv(\d)", r"shufflenet-v\1"),
    (r"litehrnet-w18", "litehrnet-18"),
    (r"-p4-w7", ""),
    (r"crowpose", "crowdpose"),
    (r"deepfasion", "deepfashion"),
]
# MMPose's names of data sets where rows use several for one.
DATASETS = {"AIC": "AI Challenger", "UBody-COCO-WholeBody": "UBody and COCO-WholeBody"}
# Where a family's rows name no training data, and which sets RTMO's are in truth: by what their
# configs read, and its metafile says CrowdPose of all but body7.
TRAINING_DATA = {"rtmpose3d": ["COCO-WholeBody", "UBody3D", "H3WB"]}
BODY7 = ["AI Challenger", "COCO", "CrowdPose", "MPII", "sub-JHMDB", "Halpe", "PoseTrack18"]
RTMO_DATA = {"body7-crowdpose": (BODY7, "CrowdPose"), "coco": (["COCO"], "COCO")}
RTMO_DATA["crowdpose"] = (["CrowdPose"], "CrowdPose")
RTMO_TESTS = {"COCO": "COCO val2017", "CrowdPose": "CrowdPose test"}
# Files whose SHA-256 is reported to begin otherwise than their name says; both are accepted.
# https://github.com/open-mmlab/mmpose/issues/3273
REPORTED_HASHES = {"8edcf0d7": "29dcacbb"}
# Where MMPose gives the address of another paper.
PAPERS = {"RTMPose": "https://arxiv.org/abs/2303.07399"}
# What is said of the weights of a family, and by whom. Nothing is said of the others.
LICENCES = {
    "rtmpose": "Apache-2.0 (said of RTMPose's models by an author: "
    "https://github.com/Tau-J/rtmlib/issues/65)"
}
# What the makers of training data allow. Of other data nothing is known here.
TERMS = {
    "COCO": "annotations CC BY 4.0, photos by the terms of Flickr "
    "(https://cocodataset.org/#termsofuse)",
    "COCO-WholeBody": "research and non-commercial use (https://github.com/jin-s13/COCO-WholeBody)",
    "Human-Art": "non-commercial use (https://github.com/IDEA-Research/HumanArt)",
}


def preset_name(config: str) -> str:
    """A short name in this package's style, e.g. hrnet_w32_dark_coco_256x192."""
    config = config.lower()
    size = SIZE.search(config)
    size, suffix = size.groups() if size else (None, None)
    network, _, data = SIZE.sub("", config).partition(SCHEDULE.search(config).group())
    for pattern, replacement in WORDS:
        network, data = (re.sub(pattern, replacement, text) for text in (network, data))
    words = [network, data, suffix, size]
    return re.sub(r"[-_]+", "_", "_".join(filter(None, words)))


def protocol(result: dict, row: dict) -> str:
    """How a figure was measured, as one line."""
    detector = result.get("detector") or {}
    boxes = {"gt": "annotated boxes", "none": "whole images"}.get(result.get("boxes"))
    if result.get("boxes") == "detector":
        boxes = f"boxes of {detector.get('name', 'a detector')}"
        if "human_AP" in detector:
            boxes += f" (person AP {detector['human_AP']} on {detector['on']})"
    inputs = [boxes or "boxes not stated", f"padding {row['eval_protocol']['bbox_padding'] or 0:g}"]
    if row["model"]["type"] == "BottomupPoseEstimator":
        inputs = ["whole images"]
    elif row["model"]["type"] == "PoseLifter":
        source = result.get("keypoints_2d") or ("CPN" if "cpn" in row["config"] else "gt")
        inputs = [{"gt": "annotated 2D poses"}.get(source, f"2D poses of {source}")]
    flip = {True: "flip test", False: "no flip test", None: "flip test not stated"}
    parts = [
        evaluated_on(result),
        *inputs,
        flip[result.get("flip_test")],
        f"normalised by {result['pck_normalized_by']}" if "pck_normalized_by" in result else None,
        f"{result['decoder']} decoder" if "decoder" in result else None,
        f"as published in MMPose's {result['source']}",
    ]
    return "; ".join(part for part in parts if part)


def evaluated_on(result: dict) -> str:
    """The data that a figure is of."""
    return result.get("evaluated_on") or result["dataset"]


def corrected(row: dict) -> dict:
    """A row with the data that it was trained and measured on."""
    data = row["training_data"] or TRAINING_DATA[row["family"]]
    results, config = row["results"], row["config"].rpartition("e_")[2].rpartition("-")[0]
    if row["family"] == "rtmo" and config in RTMO_DATA:
        data, test = RTMO_DATA[config]
        results = [{**r, "dataset": test, "evaluated_on": RTMO_TESTS[test]} for r in results]
    # A README may state a figure twice.
    several = {(r["metric"], r["value"]): r for r in results if r["source"] == "readme"}
    if row["model"]["type"] == "PoseLifter":
        results = [r for r in results if r["source"] != "readme"] + list(several.values())
    return {**row, "training_data": data, "results": results}


def metrics(row: dict) -> dict[str, dict[str, float]]:
    """{protocol: {metric: value}}; the README's figures where the metafile's are older."""

    def key(result):
        return result["metric"], evaluated_on(result)

    readme = {key(r) for r in row["results"] if r["source"].endswith("readme")}
    found: dict[str, dict[str, float]] = {}
    for result in row["results"]:
        if result["source"] == "metafile" and key(result) in readme:
            continue
        value = result["value"]
        if result.get("unit") == "percent":
            value = round(value / 100, 6)
        name = f"{result['dataset']} {result['metric']}"
        found.setdefault(protocol(result, row), {})[name] = value
    return found


class Shared:
    """Values that rows share, each under a short name."""

    def __init__(self):
        self.tables: dict[str, dict] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._counts: Counter = Counter()

    def name(self, table: str, value, stem: str) -> str:
        key = (table, json.dumps(value, sort_keys=True))
        if key not in self._names:
            self._counts[table, stem] += 1
            self._names[key] = f"{stem} {self._counts[table, stem]}"
            self.tables.setdefault(table, {})[self._names[key]] = value
        return self._names[key]


def entry(row: dict, shared: Shared, pipelines: dict) -> dict:
    """One row of the file."""
    model, test = row["model"], row["eval_protocol"]
    parts = {}
    for part in PARTS:
        if model.get(part):
            stem = str(model[part].get("type", part)).rpartition(".")[2]
            parts[part] = shared.name(part, model[part], stem)
    facts = {
        "config": row["config"],
        "id": row["id"] if row["id"] != row["config"] else None,
        "aliases": sorted(row["aliases"]),
        "family": row["family"],
        "task": row["task"],
        "addresses": row["addresses"],
        "hashes": [h for h in (row["hash8"], REPORTED_HASHES.get(row["hash8"])) if h],
        "type": model["type"],
        "model": parts,
        "codec": codec(row),
        "udp": bool(test["use_udp"]),
        "box_padding": test["bbox_padding"],
        "resize": resize(row, pipelines),
        "skeleton": row.get("train_skeleton") or row["skeleton"],
        "input_size": (row["input_size"] or [])[:2],
        "parameters": row["params"]["parameters"],
        "licence": LICENCES.get(row["family"]),
        "training_data": [DATASETS.get(name, name) for name in row["training_data"]],
        "metrics": {
            shared.name("protocols", text, "protocol"): values
            for text, values in metrics(row).items()
        },
        "date": row["date"],
        "paper": paper(row),
    }
    if facts["resize"]:
        facts["input_size"] = facts["resize"]["input_size"]
    silent = {"udp": False, "box_padding": 1.25, "type": "TopdownPoseEstimator"}
    return {k: v for k, v in facts.items() if v not in (None, [], {}) and silent.get(k) != v}


def codec(row: dict) -> list | dict | None:
    """The codec of training where it is not that of predictions: several, one for each level of
    targets, or one of its own.

    Three DeepFashion configs define another codec that their data loaders do not use.
    """
    return row["codec"] if isinstance(row["codec"], list) else row["codec"].get("train_codec")


def resize(row: dict, pipelines: dict) -> dict | None:
    """How photos become inputs, for models that see them whole."""
    steps = pipelines[row["eval_protocol"]["test_pipeline"]]
    step = next((step for step in steps if step["type"] == "BottomupResize"), None)
    if step is None:
        return None
    return bottomup_resize({**step, "input_size": _known(step["input_size"], row)})


def _known(value, row: dict):
    return row["input_size"] if value == "@input_size" else value


def paper(row: dict) -> str | None:
    """The address of the paper that the model is known by."""
    papers = {
        paper["role"]: PAPERS.get(paper["name"], paper["url"]) for paper in reversed(row["papers"])
    }
    return papers.get("algorithm") or papers.get("backbone")


def merged(rows: list[dict]) -> list[dict]:
    """Rows without those that publish a file again, whose address and name go to the first.

    Only a row for a second checkpoint of its config is left out: two configs of one file are two
    models.
    """
    first: dict[str, dict] = {}
    configs = {row["config"] for row in rows}
    for row in rows:
        if row.get("metafile_name") and row["metafile_name"] not in configs:
            row["aliases"].append(row["metafile_name"])
        file = row["weights"].rpartition("/")[2]
        row["addresses"] = [row["weights"]]
        if file in first and row["id"] != row["config"]:
            first[file]["addresses"].append(row["weights"])
            first[file]["aliases"].append(row["id"])
        else:
            first.setdefault(file, row)
    return [
        row
        for row in rows
        if first.get(row["weights"].rpartition("/")[2]) is row or row["id"] == row["config"]
    ]


def wanted_files(rows: dict[str, dict]) -> set[str]:
    """Names of the files of rows; one name must be one address."""
    files = {row["weights"].rpartition("/")[2] for row in rows.values()}
    assert len(files) == len({row["weights"] for row in rows.values()})
    return files


def named(rows: list[dict]) -> dict[str, dict]:
    """Rows by name; of rows with one config all but the first get the hash in their name."""
    found: dict[str, dict] = {}
    for row in rows:
        name = preset_name(row["config"])
        if name in found:
            name = f"{name}_{row['hash8']}"
        assert name not in found, name
        found[name] = row
    return found


def fingerprints(rows: dict[str, dict], layouts: dict) -> dict[str, str]:
    """{name of a row: fingerprint}, one row for each architecture."""
    found, seen = {}, set()
    for name, row in rows.items():
        if row["arch_id"] not in seen:
            seen.add(row["arch_id"])
            layout = layouts[row["params"]["state_dict"]]
            found[name] = fingerprint((key, shape) for key, shape, _ in layout)
    return found


def lines(value: dict, depth: int) -> str:
    """JSON with a line for every entry down to a depth."""
    if depth == 0 or not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=False)
    rows = ",\n".join(f"{json.dumps(k)}: {lines(v, depth - 1)}" for k, v in value.items())
    return "{\n" + rows + "\n}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoo", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    facts = json.loads(gzip.decompress((arguments.zoo / "zoo.json.gz").read_bytes()))
    rows, pipelines = facts["rows"], facts["pipelines"]
    with lzma.open(arguments.zoo / "state_dicts.json.xz") as file:
        layouts = json.load(file)
    pose = [row for row in rows if row["kind"] == "pose"]
    missing = {
        row["id"]: ABSENT.get(row["family"], row["build"])
        for row in pose
        if row["family"] in ABSENT or (row["model"] or {}).get("type") not in TYPES
    }
    wanted = named(merged([corrected(row) for row in pose if row["id"] not in missing]))
    shared = Shared()
    presets = {name: entry(row, shared, pipelines) for name, row in sorted(wanted.items())}
    content = {
        "presets": presets,
        **shared.tables,
        "terms": TERMS,
        "fingerprints": fingerprints(wanted, layouts),
        "missing": missing,
    }
    arguments.out.write_text(lines(content, 2) + "\n", "utf-8")
    print(f"{len(presets)} presets of {len(wanted_files(wanted))} files")


if __name__ == "__main__":
    main()
