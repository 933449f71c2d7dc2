"""Writes presets/recipes/mmpose.json, how MMPose trained the top-down checkpoints of the zoo.

    python tools/make_recipes.py ZOO_FOLDER OUT

The folder holds zoo.json.gz, facts of MMPose's own configs. What rows share is written once, and
what no `Recipe` reads is left out.
"""

import argparse
import gzip
import json
from pathlib import Path

from keras_pose.preset import zoo

KEYS = (
    *("optimizer", "optim_wrapper", "param_scheduler", "train_cfg", "custom_hooks", "checkpoint"),
    *("total_batch", "auto_scale_lr_base", "auto_scale_lr_enabled", "seed", "sampler"),
    *("model_train_cfg", "batch_sampler"),
)


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    table = json.loads(gzip.decompress((args.folder / "zoo.json.gz").read_bytes()))
    wanted = {zoo.row(name).config for name in zoo.names()}
    configs, recipes, pipelines = {}, {}, {}
    for row in table["rows"]:
        used = row.get("train_recipe")
        if row["config"] not in wanted or not used:
            continue
        stage = used["stage2"] or {}
        entry = {"recipe": used["recipe"], "pipeline": used["train_pipeline"]}
        if stage.get("pipeline"):
            entry |= {"last_pipeline": stage["pipeline"], "switch_epoch": stage["epoch"]}
        configs[row["config"]] = entry
        published = table["recipes"][used["recipe"]]
        recipes[used["recipe"]] = {key: published[key] for key in KEYS if key in published}
        for key in (entry["pipeline"], entry.get("last_pipeline")):
            if key is not None:
                pipelines[key] = table["pipelines"][key]
    for recipe in recipes.values():  # hooks may name pipelines too
        text = json.dumps(recipe["custom_hooks"])
        pipelines |= {k: v for k, v in table["pipelines"].items() if f'"{k}"' in text}
    content = {"configs": configs, "recipes": recipes, "pipelines": pipelines}
    parts = []
    for name, entries in content.items():
        rows = ",\n".join(
            f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(entries.items())
        )
        parts.append(f"{json.dumps(name)}: {{\n{rows}\n}}")
    args.out.write_text("{" + ",\n".join(parts) + "}\n", "utf-8")


if __name__ == "__main__":
    main()
