"""Fixtures of the evaluation tests."""

import pytest

from keras_pose.evaluation.coco import ENGINES, coco_engine


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each COCO evaluation library that is installed."""
    try:
        return coco_engine(request.param)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def reference_names():
    """What pycocotools calls our metrics, in our order."""
    precision = ["AP", "AP .5", "AP .75", "AP (M)", "AP (L)"]
    return precision + [name.replace("AP", "AR") for name in precision]
