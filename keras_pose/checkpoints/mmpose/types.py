"""What a row of the tables beside this file says about one of MMPose's types."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Type:
    """One of MMPose's types in this package's terms.

    A setting that no field knows is an error, so that no network is built that differs from the
    one which was trained.

    Args:
        name: our class.
        settings: {their setting: ours}. Values that are configs of their own are translated too.
        ignored: {setting without a meaning here: values it may have}, None for any value.
        fixed: settings of ours that always have this value.
        test: {key of MMPose's `test_cfg`: (our setting, value where it is silent)}.
        prepare: rewrites the settings (a copy) where renaming is not enough.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, tuple | None] = field(default_factory=dict)
    fixed: Mapping[str, object] = field(default_factory=dict)
    test: Mapping[str, tuple[str, object]] = field(default_factory=dict)
    prepare: Callable[[dict], dict] | None = None


def same(*keys: str) -> dict[str, str]:
    """`settings` that have the same names here."""
    return {key: key for key in keys}


def empty_if_none(*keys: str) -> Callable[[dict], dict]:
    """A `prepare` for settings whose None means an empty list."""

    def prepare(config):
        return {key: [] if key in keys and v is None else v for key, v in config.items()}

    return prepare
