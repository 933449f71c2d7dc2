"""Writes presets/recipes/mmpose.json, how MMPose trained the checkpoints of the zoo.

    python tools/make_recipes.py ZOO_FOLDER OUT

The folder holds zoo.json.gz, facts of MMPose's own configs. What rows share is written once, and
what no `Recipe` reads is left out. Of recipes that cannot be followed wholly the table says in
`notes` what is different here, and in `missing` why a checkpoint has none.
"""

import argparse
import copy
import gzip
import json
from pathlib import Path

from keras_pose.preset import zoo
from keras_pose.training.recipe_mmpose import recipe_from_mmpose

KEYS = (
    *("optimizer", "optim_wrapper", "param_scheduler", "train_cfg", "custom_hooks", "checkpoint"),
    *("total_batch", "auto_scale_lr_base", "auto_scale_lr_enabled", "seed", "sampler"),
    *("model_train_cfg", "batch_sampler"),
)
NO_PIPELINE = "MMPose's config has no augmentation; that of DEKR and CID is used"
OTHER_SET = "there the last epochs learn one of the data sets only; here all of yours"
DETECTED = "learnt there from 2D poses of a network: train.keypoints_2d=FILE.npy gives such"
FLAT = (
    "is judged here by the keypoints in the picture, there by distances in space, which are not "
    "measured while a model for pictures trains"
)
MIRROR = "pictures are mirrored about their middle; MMPose's config mirrors about the pixel 0.5"
NO_TRAINING = "MMPose's config of it has no training part"


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    table = json.loads(gzip.decompress((args.folder / "zoo.json.gz").read_bytes()))
    wanted = {zoo.row(name).config for name in zoo.names()}
    configs, recipes, pipelines, missing = {}, {}, {}, {}
    for row in table["rows"]:
        if row["config"] not in wanted or row["kind"] != "pose":
            continue
        used = row.get("train_recipe")
        if not used:
            missing.setdefault(row["config"], NO_TRAINING)
            continue
        stage = used["stage2"] or {}
        entry = {"recipe": used["recipe"], "pipeline": used["train_pipeline"]}
        if stage.get("pipeline"):
            entry |= {"last_pipeline": stage["pipeline"], "switch_epoch": stage["epoch"]}
        published = {key: table["recipes"][used["recipe"]].get(key) for key in KEYS}
        published["custom_hooks"] = copy.deepcopy(published["custom_hooks"])
        entry |= further(row, table, published)
        steps = table["pipelines"].get(entry["pipeline"])
        try:
            recipe_from_mmpose(published, steps, pipelines=table["pipelines"]).augment()
        except ValueError as error:
            missing[row["config"]] = str(error)
            continue
        configs[row["config"]] = entry
        recipes[used["recipe"]] = published
        for key in (entry["pipeline"], entry.get("last_pipeline")):
            if key is not None:
                pipelines[key] = table["pipelines"][key]
    for recipe in recipes.values():  # hooks may name pipelines too
        text = json.dumps(recipe["custom_hooks"])
        pipelines |= {k: v for k, v in table["pipelines"].items() if f'"{k}"' in text}
    for pipeline in pipelines.values():
        for step in pipeline:
            if step["type"] == "BottomupRandomAffine" and step.get("input_size") == "@input_size":
                del step["input_size"]  # the network's is the default
    write(args.out, configs=configs, recipes=recipes, pipelines=pipelines, missing=missing)


def further(row: dict, table: dict, published: dict) -> dict:
    """What else an entry has to say; takes what cannot be followed out of the recipe."""
    notes, more = [], {}
    data = table["datasets"][row["train_recipe"]["train_dataset"]]
    for hook in published["custom_hooks"]:
        if hook.pop("new_train_dataset", None) is not None:
            notes.append(OTHER_SET)
    model = row["model"]["type"]
    steps = table["pipelines"].get(row["train_recipe"]["train_pipeline"])
    if not steps:
        notes.append(NO_PIPELINE)
    flips = [step for step in steps or () if step["type"] == "RandomFlipAroundRoot"]
    if any(not step["keypoints_flip_cfg"] for step in flips):
        notes.append(MIRROR)
    if "keypoint_2d_det_file" in data:
        notes.append(DETECTED)
    if row["family"] in ("internet", "rtmpose3d"):
        notes.append(FLAT)
    if row["family"] == "internet":
        more["dataset"] = "interhand3d"
    if model == "PoseLifter":
        more["dataset"] = "h36m"
        if not flips:
            more["pipeline"] = None  # nothing in it is random
    preprocessor = row["model"].get("data_preprocessor") or {}
    for change in preprocessor.get("batch_augments") or ():
        if change["type"] != "BatchSyncRandomResize":
            raise ValueError(f"{row['config']}: {change['type']} is not known")
        smallest, largest = change["random_size_range"]
        more["resize"] = {
            "smallest": smallest,
            "largest": largest,
            "divisor": change["size_divisor"],
            "interval": change["interval"],
        }
    return {**more, **({"notes": notes} if notes else {})}


def write(out: Path, **content: dict) -> None:
    """A line an entry, so that changes can be read."""
    parts = []
    for name, entries in content.items():
        rows = ",\n".join(
            f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(entries.items())
        )
        parts.append(f"{json.dumps(name)}: {{\n{rows}\n}}")
    out.write_text("{" + ",\n".join(parts) + "}\n", "utf-8")


if __name__ == "__main__":
    main()
