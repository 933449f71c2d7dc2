"""`keras-pose export`: a pretrained model as a file for other runtimes."""

import argparse
import sys
from pathlib import Path

from keras_pose.artifacts.formats import FORMATS
from keras_pose.cli import runtime

_DESCRIPTION = """\
Writes a pose estimator or detector for other runtimes, normalisation and decoding inside.

  keras-pose export movenet_lightning_coco movenet.tflite
  keras-pose export movenet_lightning_coco movenet.onnx --batch-size 1
  keras-pose export my_preset/ served/ --flip-test                     (a SavedModel)

OUT.json says all that users of the file need to know, and OUT.npz holds what 'keras-pose verify'
compares with (in the folder of a SavedModel: keras_pose.json, keras_pose.npz). The file is run in
its own runtime and compared with Keras; it appears only if it computes the same. It needs
pip install 'keras-pose[export]', and a quarter of a minute or more.
"""


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "export",
        help="write a model as SavedModel, LiteRT or ONNX",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "preset",
        metavar="PRESET",
        help="a name from 'keras-pose presets', a folder, or a handle of a hub",
    )
    parser.add_argument("out", metavar="OUT", help="file, or folder of a SavedModel")
    parser.add_argument(
        "--format",
        choices=tuple(FORMATS),
        help="default: litert for .tflite, onnx for .onnx, else tf_saved_model",
    )
    parser.add_argument(
        "--no-decode", action="store_true", help="raw outputs instead of keypoints or boxes"
    )
    parser.add_argument(
        "--flip-test",
        action="store_true",
        help="average with the mirrored image: twice the time, a little more accurate",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="always N images at once, as GPU and NPU delegates of phones want it; default: any",
    )
    runtime.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exports, and prints what was written and how near it is to Keras."""
    from keras_pose.artifacts import export
    from keras_pose.artifacts.sidecar import read_sidecar
    from keras_pose.preset import load_preset, read_metadata

    runtime.prepare(arguments)
    path = export(
        load_preset(arguments.preset),
        arguments.out,
        format=arguments.format or _format(Path(arguments.out)),
        decode=not arguments.no_decode,
        flip_test=arguments.flip_test,
        batch_size=arguments.batch_size,
        metadata=read_metadata(arguments.preset),
    )
    print(path)
    parity = read_sidecar(path)["parity"]
    for name, difference in parity["differences"].items():
        unit = f" {difference['unit']}" if difference["unit"] else ""
        print(
            f"keras-pose: {name}: largest difference from Keras in {parity['images']} images "
            f"{difference['largest']:.2g}{unit}",
            file=sys.stderr,
        )
    return 0


def _format(out: Path) -> str:
    by_suffix = {one.suffix: name for name, one in FORMATS.items()}
    return by_suffix.get(out.suffix, by_suffix[""])
