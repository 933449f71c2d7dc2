"""What kind of value a setting of a recipe or a job takes, said before anything is built."""

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

_LARGEST_SEED = 2**32 - 1


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of(kinds: type | tuple[type, ...]) -> Callable[[Any], bool]:
    def check(value):
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        return is_list and all(isinstance(entry, kinds) for entry in value)

    return check


def _by_epoch(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def check(value):
        return isinstance(value, Mapping) and all(
            str(epoch).isdecimal() and kind(entry) for epoch, entry in value.items()
        )

    return check


NAMES = 'a list of names such as ["backbone"]'
METRICS = 'a list of metrics such as ["ap", "pck"]'
SEED = f"an integer from 0 to {_LARGEST_SEED}"

_KINDS: dict[str, Callable[[Any], bool]] = {
    "a dict": lambda value: isinstance(value, Mapping),
    "a list of dicts": _is_list_of(Mapping),
    NAMES: _is_list_of(str),
    METRICS: lambda value: isinstance(value, Sequence) and not isinstance(value, str),
    "a dict of dicts by epoch": _by_epoch(lambda entry: isinstance(entry, Mapping)),
    "a dict of positive integers by epoch": _by_epoch(lambda n: _is_integer(n) and n >= 1),
    "a name": lambda value: isinstance(value, str),
    "a positive integer": lambda value: _is_integer(value) and value >= 1,
    "true or false": lambda value: isinstance(value, bool),
    SEED: lambda value: _is_integer(value) and 0 <= value <= _LARGEST_SEED,
    '"max" or "min"': lambda value: value in ("max", "min"),
}


def check_kinds(what: str, settings: Any, kinds: Mapping[str, str]) -> None:
    """Refuses attributes of an unsuitable kind; None stands for what is not given.

    Args:
        what: str, begins the sentence.
        settings: object with the attributes.
        kinds: {name of an attribute: one of the kinds of this module}.

    Raises:
        ValueError: which setting must be what, and what it is.
    """
    for name, kind in kinds.items():
        value = getattr(settings, name)
        if value is not None and not _KINDS[kind](value):
            raise ValueError(f"{what}: {name} must be {kind}, got {value!r}")


def check_numbers(
    what: str, settings: Mapping[str, Any], parameters: Mapping[str, Parameter]
) -> None:
    """Refuses texts and dicts where a class takes numbers, as its defaults show.

    Args:
        what: str, begins the sentence.
        settings: arguments of the class.
        parameters: those that its signature has.

    Raises:
        ValueError: which setting must be a number, and what it is.
    """
    for name, value in settings.items():
        default = parameters[name].default if name in parameters else None
        if _is_number(default) and not _is_number(value, nothing=True):
            raise ValueError(f"{what}: {name} must be a number, got {value!r}")


def _is_number(value: Any, nothing: bool = False) -> bool:
    """Whether it is a number, or a list of numbers, or where `nothing` is set None."""
    if isinstance(value, list | tuple):
        return all(_is_number(entry, nothing) for entry in value)
    return (nothing and value is None) or isinstance(value, int | float)
