"""Labels of other tools, read and written as COCO."""

from keras_pose.datasets.importers.formats import FORMATS
from keras_pose.datasets.importers.importing import ImportedDataset, import_dataset
from keras_pose.datasets.importers.report import ImportReport

__all__ = ["FORMATS", "ImportReport", "ImportedDataset", "import_dataset"]
