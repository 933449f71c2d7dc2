"""Makes the Kaggle notebooks in examples/notebooks from the scripts in examples.

    python tools/make_notebooks.py [--check]

With --check nothing is written; the exit code is 1 if a notebook is out of date.

A script has functions `arguments`, which returns its parser, and `main`. Its docstring becomes the
first cell, without commands; then come the installation, what stands before `main`, and the
options as plain settings. `# %% Title` in `main` begins a cell; comments right below it are its
text.
"""

import argparse
import ast
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FOLDER = EXAMPLES / "notebooks"


@dataclass
class Notebook:
    """What a script does not say itself.

    Args:
        extras: of keras-pose, to install.
        settings: options of the script, where they are not its defaults.
    """

    extras: str
    settings: dict[str, Any]


OUT = "/kaggle/working"
NOTEBOOKS = {
    "finetune_movenet": Notebook(
        "train,export",
        {
            "annotations": "/kaggle/input/my-keypoints/train.json",
            "val": "/kaggle/input/my-keypoints/val.json",
            "images": "/kaggle/input/my-keypoints/images",
            "out": Path(OUT, "tuned"),
        },
    ),
    "train_deeplabcut": Notebook(
        "train,export,import",
        {"project": "/kaggle/input/my-deeplabcut-project", "out": Path(OUT, "animal")},
    ),
    "predict_photos": Notebook(
        "torch",
        {
            "photos": Path("/kaggle/input/my-photos"),
            "out": Path(OUT, "drawn"),
            "show": True,
        },
    ),
}
KAGGLE = """\
On Kaggle: add your data by "Add Input", turn on the internet (for the next cell), and choose a GPU
if you like. What is written to `/kaggle/working` is the notebook's output."""
BACKEND = """\
import os

os.environ["KERAS_BACKEND"] = "torch"  # or "tensorflow", or "jax\""""
SETTINGS = """\
## Settings

The paths are examples: your own ones go here."""


def notebook(name: str) -> dict[str, Any]:
    """A script as a notebook of format 4.5.

    Args:
        name: key of `NOTEBOOKS`.
    """
    facts = NOTEBOOKS[name]
    script = _Script((EXAMPLES / f"{name}.py").read_text("utf-8"))
    made = f"Made by `tools/make_notebooks.py` from `examples/{name}.py`."
    cells = [
        ("markdown", "\n\n".join([script.introduction(), KAGGLE, made])),
        ("install", f'%pip install --quiet "keras-pose[{facts.extras}]"'),
        ("code", BACKEND),
        ("code", script.definitions()),
        ("markdown", SETTINGS),
        ("code", script.settings(facts.settings)),
        *script.steps(),
    ]
    return {
        "cells": [_cell(i, kind, source) for i, (kind, source) in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    cell = {
        "cell_type": "markdown" if kind == "markdown" else "code",
        "id": f"cell-{number}",
        "metadata": {"tags": ["install"]} if kind == "install" else {},
        "source": source.splitlines(keepends=True),
    }
    return cell if kind == "markdown" else cell | {"execution_count": None, "outputs": []}


class _Script:
    """The parts of an example.

    Args:
        text: its source.

    Raises:
        ValueError: it is not as the module's docstring says.
    """

    def __init__(self, text: str):
        self._lines = text.splitlines()
        self._tree = ast.parse(text)
        functions = {n.name: n for n in self._tree.body if isinstance(n, ast.FunctionDef)}
        if missing := {"arguments", "main"} - functions.keys():
            raise ValueError(f"the script has no function {min(missing)!r}")
        self._arguments, self._main = functions["arguments"], functions["main"]

    def introduction(self) -> str:
        """The docstring: its first sentence as the title, no commands, options as settings."""
        title, *blocks = ast.get_docstring(self._tree).split("\n\n")
        texts = [block for block in blocks if not block.startswith("    ")]
        text = "\n\n".join([f"# {title.rstrip('.')}", *texts])
        return re.sub(r"`--([\w-]+)`", lambda option: f"`{option[1].replace('-', '_')}`", text)

    def definitions(self) -> str:
        """Imports and functions, but for what reads options and for types of `main` alone."""
        kept = self._tree.body[1 : self._tree.body.index(self._main)]
        functions = [n for n in kept if isinstance(n, ast.FunctionDef) and n is not self._arguments]
        # every step may use what the settings use: Path
        names = {"Path"}.union(*map(_names, [*functions, *self._main.body]))
        lines, end = [], kept[0].lineno - 1
        for node in kept:
            gap = [""] * (node.lineno - 1 - end)
            end = node.end_lineno
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [a for a in node.names if (a.asname or a.name).split(".")[0] in names]
                if node.names:
                    lines += [*gap, ast.unparse(node)]
            elif node is not self._arguments:
                lines += [*gap, *self._lines[node.lineno - 1 : end]]
        return "\n".join(lines).strip()

    def settings(self, given: dict[str, Any]) -> str:
        """The options as `args = SimpleNamespace(...)`, each below its help.

        Args:
            given: values other than the defaults.
        """
        names = {"argparse": argparse, "Path": Path, "__doc__": "-"}
        exec(compile(ast.Module([self._arguments], []), "arguments", "exec"), names)
        lines = ["from types import SimpleNamespace", "", "args = SimpleNamespace("]
        for action in names["arguments"]()._actions:
            if action.dest == "help":
                continue
            value = given.get(action.dest, action.default)
            text = f'Path("{value}")' if isinstance(value, Path) else json.dumps(value)
            text = {"null": "None", "true": "True", "false": "False"}.get(text, text)
            lines += [f"    # {action.help}", f"    {action.dest}={text},"]
        return "\n".join([*lines, ")"])

    def steps(self) -> Iterator[tuple[str, str]]:
        """The cells of `main`: (kind, source)."""
        body = self._main.body
        last = body[-1].lineno - 1 if isinstance(body[-1], ast.Return) else body[-1].end_lineno
        source = textwrap.dedent("\n".join(self._lines[body[0].end_lineno : last]))
        before, *cells = re.split(r"^# %% ", source, flags=re.MULTILINE)
        if before.strip():
            raise ValueError(f"main begins with {before.strip()!r:.60}, which is in no cell")
        for cell in cells:
            title, *lines = cell.strip().splitlines()
            count = next(i for i, line in enumerate(lines) if not line.startswith("#"))
            text = "\n".join(line.removeprefix("#").strip() for line in lines[:count])
            yield "markdown", f"## {title}" + f"\n\n{text}" * bool(text)
            yield "code", "\n".join(lines[count:]).strip()


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def document(name: str) -> str:
    """The content of a notebook's file."""
    return json.dumps(notebook(name), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Writes or checks the notebooks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    args = parser.parse_args()
    old = 0
    for name in NOTEBOOKS:
        path, text = FOLDER / f"{name}.ipynb", document(name)
        if not args.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        elif not path.is_file() or path.read_text("utf-8") != text:
            print(f"{path.name} is out of date: run tools/make_notebooks.py", file=sys.stderr)
            old += 1
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
