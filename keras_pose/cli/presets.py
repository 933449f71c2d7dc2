"""`keras-pose presets`: which pretrained models there are."""

import argparse
import json
import textwrap
from typing import Any


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "presets",
        help="list the pretrained models",
        description="Lists the pretrained models with what they are for, input size, parameters, "
        "licence of the weights, and accuracy with the protocol it was measured by.",
        allow_abbrev=False,
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="only these; default: all")
    parser.add_argument("--json", action="store_true", help="print everything known, as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the list."""
    from keras_pose.preset import WEIGHTS, preset_folder, preset_names, read_metadata

    facts = {}
    for name in arguments.name or preset_names():
        local = (preset_folder(name) / WEIGHTS).is_file()
        facts[name] = read_metadata(name) | {"local": local}
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return 0
    print("\n\n".join(_entry(name, entry) for name, entry in facts.items()))
    return 0


def _entry(name: str, facts: dict[str, Any]) -> str:
    weights = facts.get("weights", {})
    size = f", {weights['bytes'] / 1e6:.1f} MB" if "bytes" in weights else ""
    lines = {
        "task": facts.get("task"),
        "input": " x ".join(map(str, facts.get("input_size", []))),
        "parameters": f"{facts['parameters'] / 1e6:.1f} M" if "parameters" in facts else None,
        "licence": facts.get("licence"),
        "trained on": facts.get("training_data"),
        "metric": _metric(facts),
        "weights": ("local" if facts["local"] else "not here") + size,
    }
    rows = [f"    {key:<11} {value}" for key, value in lines.items() if value]
    title = [f"    {facts['description']}"] if facts.get("description") else []
    return "\n".join([name, *title, *rows])


def _metric(facts: dict[str, Any]) -> str | None:
    """The accuracy with its protocol: one text, or a list of name, value and protocol."""
    metric = facts.get("metric") or facts.get("metrics")
    if not isinstance(metric, list):
        return metric
    shown = [f"{one['name']} {one['value']}\n{one['protocol']}" for one in metric]
    # Under the column of values, with the protocol below each figure.
    return textwrap.indent("\n".join(map(_wrapped, shown)), " " * 16).lstrip()


def _wrapped(text: str) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, 80)) for line in text.splitlines())
