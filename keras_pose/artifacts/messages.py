"""Sentences about what went wrong."""

import importlib.util
from collections.abc import Iterable


def need(modules: Iterable[str], purpose: str) -> None:
    """Says what to install where a module is missing; imports none of them.

    Args:
        modules: names of modules.
        purpose: beginning of the sentence, such as "exporting to ONNX".

    Raises:
        ImportError: one is missing.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(name.replace("_", "-") for name in missing)
        raise ImportError(f"{purpose} needs {names}: pip install keras-pose[export]")


def one_sentence(error: BaseException) -> str:
    """What an exception says, as part of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0][:300] if lines else "no reason given"
    plain = isinstance(error, ValueError | OSError | ImportError)
    return text if plain else f"{type(error).__name__}: {text}"
