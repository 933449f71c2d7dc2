"""Training: recipes as data, the jobs that use them, and what they are made of."""

import importlib

# Names are imported when they are first used: most need OpenCV.
_LAZY = {
    "Recipe": "recipe",
    "TrainingPlan": "recipe",
    "TrainingJob": "job",
    "recipe_names": "job",
    "named_recipe": "job",
    "recipe_notes": "job",
    "missing_recipes": "job",
    "Trainer": "trainer",
    "TrainingRun": "trainer",
    "TrainingError": "guards",
    "StopAtBadLoss": "guards",
    "Checkpoint": "checkpoint",
    "read_checkpoint": "checkpoint",
    "save_checkpoint": "checkpoint",
    "AttributeSwitches": "callbacks",
    "AveragedWeights": "callbacks",
    "SampleImages": "pictures",
    "WorstImages": "pictures",
    "TensorBoardLog": "tensorboard",
    "LearningRateLog": "tensorboard",
    "Distiller": "distillation",
    "WeightAverage": "averaging",
    "SGD": "optimizers",
    "Adam": "optimizers",
    "AdamW": "optimizers",
    "ChainedSchedule": "schedule",
    "ParameterRules": "parameter_rules",
    "LayerDecay": "parameter_rules",
    "parameter_factors": "parameter_rules",
    "freeze": "freezing",
    "keep_statistics": "freezing",
    "recipe_from_mmpose": "recipe_mmpose",
}

__all__ = [*_LAZY]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(f"keras_pose.training.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'keras_pose.training' has no attribute {name!r}")
