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
        description="Lists the pretrained models: a line each, or with NAME or --long everything "
        "that is known: what they are for, input size, parameters, licence of the weights, and "
        "accuracy with the protocol it was measured by. Filters take any part of a word.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "name", nargs="*", metavar="NAME", help="only these, by name, MMPose config name or alias"
    )
    add_filters(parser)
    parser.add_argument("--local", action="store_true", help="only those whose weights are here")
    parser.add_argument("--long", action="store_true", help="print everything known of each")
    parser.add_argument("--json", action="store_true", help="print everything known, as JSON")
    parser.set_defaults(run=run)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose presets by their facts."""
    group = parser.add_argument_group("filters")
    for option, what in _FILTERS.items():
        group.add_argument(f"--{option}", metavar="WORD", help=what)


_FILTERS = {
    "family": "of algorithms, such as rtmpose, topdown_heatmap or simcc",
    "task": "such as body, wholebody, hand, face, animal, fashion or detection",
    "licence": "of the weights, such as apache or unknown",
    "data": "they were trained on, such as coco or mpii",
    "match": "part of the name, such as hrnet or 384x288",
}


def run(arguments: argparse.Namespace) -> int:
    """Prints the list."""
    facts = selected(arguments)
    if arguments.json:
        print(json.dumps(facts, indent=1))
    elif arguments.name or arguments.long:
        print("\n\n".join(_entry(name, entry) for name, entry in facts.items()))
    else:
        print(_table(facts))
    return 0


def selected(arguments: argparse.Namespace) -> dict[str, dict]:
    """The facts of the presets that the options choose.

    Raises:
        ValueError: a name is unknown, or nothing fits the filters.
    """
    from keras_pose.preset import is_local, preset_names, read_metadata

    facts = {}
    for name in arguments.name or preset_names():
        entry = read_metadata(name)
        if _fits(name, entry, arguments):
            local = is_local(name)
            if local or not getattr(arguments, "local", False):
                facts[name] = entry | {"local": local}
    if not facts:
        raise ValueError("no preset fits these filters; `keras-pose presets` lists all")
    return facts


def _fits(name: str, facts: dict[str, Any], arguments: argparse.Namespace) -> bool:
    texts = {
        "family": facts.get("family", ""),
        "task": f"{facts.get('task', '')} {facts.get('subject', '')}",
        "licence": facts.get("licence", ""),
        "data": facts.get("training_data", ""),
        "match": name,
    }
    return all(
        word.lower() in texts[option].lower()
        for option in _FILTERS
        if (word := getattr(arguments, option, None))
    )


def _table(facts: dict[str, dict]) -> str:
    """A line for each preset."""
    rows = [("name", "for", "input", "parameters", "accuracy", "licence of the weights", "")]
    for name, entry in facts.items():
        rows.append(
            (
                name,
                entry.get("subject") or entry.get("task", ""),
                _size(entry),
                f"{entry['parameters'] / 1e6:.1f} M" if "parameters" in entry else "",
                _main_metric(entry),
                textwrap.shorten(entry.get("licence", "").split(" (")[0], 30, placeholder=" ..."),
                "local" if entry["local"] else "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _main_metric(facts: dict[str, Any]) -> str:
    """The figure that a model is known by, with its protocol in short."""
    metrics = facts.get("metrics") or []
    if not metrics:
        return ""
    main = next((one for one in metrics if one["name"].endswith(" Whole AP")), metrics[0])
    said = [short for part, short in _PROTOCOLS.items() if part in main["protocol"]]
    protocol = f" ({', '.join(said)})" if said else ""
    return f"{main['name']} {main['value']:g}{protocol}"


# What of a protocol's text matters most, in short.
_PROTOCOLS = {
    "annotated boxes": "annotated boxes",
    "boxes of ": "detected boxes",
    "; flip test;": "flip test",
    "no flip test": "no flip test",
}


def _size(facts: dict[str, Any]) -> str:
    return " x ".join(map(str, facts.get("input_size", [])))


def _entry(name: str, facts: dict[str, Any]) -> str:
    weights = facts.get("weights", {})
    size = f", {weights['bytes'] / 1e6:.1f} MB" if "bytes" in weights else ""
    terms = facts.get("training_data_terms", {})
    lines = {
        "task": ", ".join(filter(None, [facts.get("task"), facts.get("subject")])),
        "family": facts.get("family"),
        "input": _size(facts),
        "parameters": f"{facts['parameters'] / 1e6:.1f} M" if "parameters" in facts else None,
        "licence": facts.get("licence"),
        "trained on": facts.get("training_data"),
        "its terms": "; ".join(f"{data}: {said}" for data, said in terms.items()),
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
    shown: dict[str, list[str]] = {}
    for one in metric:
        shown.setdefault(one["protocol"], []).append(f"{one['name']} {one['value']}")
    texts = [f"{', '.join(figures)}\n{protocol}" for protocol, figures in shown.items()]
    # Under the column of values, with the protocol below its figures.
    return textwrap.indent("\n".join(map(_wrapped, texts)), " " * 16).lstrip()


def _wrapped(text: str) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, 80)) for line in text.splitlines())
