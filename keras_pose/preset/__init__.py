"""Presets: models by name, with their configuration, weights and facts."""

from keras_pose.preset.folders import (
    CONFIG,
    METADATA,
    SKELETON,
    WEIGHTS,
    file_hash,
    save_preset,
)
from keras_pose.preset.handles import (
    PresetMixin,
    built_in_names,
    is_local,
    load_preset,
    preset_folder,
    preset_names,
    read_metadata,
)
