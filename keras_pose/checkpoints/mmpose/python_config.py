"""Reading a Python config file of MMEngine without executing it.

Such a file is a list of assignments. They are evaluated here one after the other by walking their
syntax trees: numbers, texts, lists, dicts, arithmetic, comprehensions, and the few functions below.
Whatever needs more, such as an import, leaves the variable unreadable; that is an error only when
somebody asks for it. Files named by `_base_` are merged as MMEngine does
(https://mmengine.readthedocs.io/en/latest/advanced_tutorials/config.html).
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_pose.checkpoints.mmpose.python_file import PythonFile, Unreadable, merged

_BRACES = re.compile(r"""(['"]?)\{\{\s*([A-Za-z_][\w.]*)\s*\}\}\1""")
_DEPTH = 20


class PythonConfig(Mapping):
    """The variables of a config file, its bases merged in.

    Args:
        path: a `.py` file.

    Raises:
        ValueError: the file is not Python, uses MMEngine's newer style with `read_base`, or its
            bases form a loop. Asking for a variable that only executing the file would give is
            one too.
    """

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self._values = _read(self._path, ())

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        if isinstance(value, Unreadable):
            raise ValueError(
                f"{self._path}: {name} cannot be read without executing the file: {value.reason}; "
                "write it out, or give the config that MMPose dumps into its work folder"
            )
        return value

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The variables of a file and of its bases."""
    if path.resolve() in above or len(above) > _DEPTH:
        raise ValueError(f"{path}: its bases form a loop")
    try:
        source = path.read_text("utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a Python file") from None
    try:
        # {{_base_.x}} is a variable of a base, {{fileBasename}} and the like a fact of the file.
        tree = ast.parse(_BRACES.sub(lambda match: f" {match.group(2)} ", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = getattr(error, "lineno", None)
        raise ValueError(f"{path} is not a Python file (line {where})") from None
    if any("read_base" in ast.dump(node) for node in ast.walk(tree) if _imports(node)):
        raise ValueError(
            f"{path} is written in MMEngine's newer style, whose inheritance is an import that "
            "only executing it would give: use the config that MMPose dumps into its work folder"
        )
    file = PythonFile()
    base: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and _target(node) == "_base_":
            base = _bases(path, _literal(node.value, path), (*above, path.resolve()))
            file.variables["_base_"] = base
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and _target(node) == "_base_"):
            file.run(node)
    own = {k: v for k, v in file.variables.items() if not k.startswith("__") and k != "_base_"}
    return merged(base, own)


def _imports(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _target(node: ast.Assign) -> str | None:
    return node.targets[0].id if isinstance(node.targets[0], ast.Name) else None


def _literal(node: ast.expr, path: Path) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{path}: _base_ must be a text or a list of texts") from None


def _bases(path: Path, names: str | list | tuple, above: tuple[Path, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in [names] if isinstance(names, str) else names:
        # A base such as "mmpose::..." lies in an installed package, which is not read.
        file = path.parent / str(name)
        if file.is_file():
            found = merged(found, _read(file, above))
        else:
            found.setdefault("missing bases", []).append(str(name))
    return found
