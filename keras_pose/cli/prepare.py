"""`keras-pose prepare`: a data set as shards of crops that training streams."""

import argparse
import sys

_DESCRIPTION = """\
Writes crops of all labelled objects with their labels to TFRecord shards, from which training
streams several times faster than from the photos, also from a bucket.

  keras-pose prepare train.json shards/train --images photos
  keras-pose prepare train.json gs://bucket/train --images photos --size 288x384
  keras-pose prepare train.json shards/train --images photos --beam DirectRunner

In Python, keras_pose.datasets.prepared_dataset("shards/train", estimator, training=True) gives the
batches. Around every object, the margin is stored that the augmentation of the published recipes
can ask for (the padded box x 1.5, turned by 80 degrees, shifted by 0.16), at up to RESOLUTION
pixels for a pixel of the network's input. Shards appear when all of them are complete; the same
command does nothing where they are. Exit code 1: images do not decode, the others are written.
"""


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "prepare",
        help="write a data set as shards that training streams",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("dataset", metavar="DATASET.json", help="COCO keypoint file")
    parser.add_argument("out", metavar="OUT_DIR", help="folder, or URL such as gs://bucket/train")
    parser.add_argument("--images", metavar="DIR", help="default: the folder of DATASET.json")
    parser.add_argument(
        "--skeleton", metavar="S", help="name or file; default: made of the file's categories"
    )
    parser.add_argument(
        "--size",
        metavar="WxH",
        type=_size,
        nargs="+",
        default=[(192, 256)],
        help="width and height of the networks' inputs, one or several; default: 192x256",
    )
    parser.add_argument(
        "--resolution",
        metavar="R",
        type=float,
        help="stored pixels for a pixel of the input, at most; default: 1",
    )
    parser.add_argument("--quality", metavar="Q", type=int, help="of JPEG; default: 85")
    parser.add_argument(
        "--padding", metavar="P", type=float, help="factor on the boxes' sides; default: 1.25"
    )
    parser.add_argument(
        "--shard-objects", metavar="N", type=int, default=2048, help="about; default: 2048"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace shards of other data or settings"
    )
    parser.add_argument("--beam", metavar="RUNNER", help="write the shards on Apache Beam")
    parser.add_argument(
        "--beam-options",
        metavar="OPTIONS",
        help='for Beam, as one word: --beam-options="--direct_num_workers=2"',
    )
    parser.set_defaults(run=run)


def _size(word: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in word.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a size is like 192x256, not {word!r}") from None
    return width, height


def run(arguments: argparse.Namespace) -> int:
    """Prepares, and prints what there is now."""
    import os

    from keras_pose.datasets import KeypointDataset, ShardSettings, prepare_shards

    changes = {
        "resolution": arguments.resolution,
        "quality": arguments.quality,
        "box_padding": arguments.padding,
    }
    settings = ShardSettings(
        input_sizes=tuple(arguments.size),
        **{name: value for name, value in changes.items() if value is not None},
    )
    images = arguments.images or os.path.dirname(arguments.dataset) or "."
    shards = prepare_shards(
        KeypointDataset.from_coco(arguments.dataset, images, arguments.skeleton),
        arguments.out,
        settings,
        objects_per_shard=arguments.shard_objects,
        overwrite=arguments.overwrite,
        beam_runner=arguments.beam,
        beam_options=_beam_options(arguments),
    )
    megabytes = sum(shard["bytes"] for shard in shards.shards) / 1e6
    print(
        f"{shards.folder}: {len(shards)} objects in {len(shards.shards)} shards, "
        f"{megabytes:.1f} MB, skeleton {shards.skeleton.name}"
    )
    for path in shards.left_out:
        print(f"keras-pose: left out, does not decode: {path}", file=sys.stderr)
    return 1 if shards.left_out else 0


def _beam_options(arguments: argparse.Namespace):
    if not arguments.beam_options:
        return None
    if not arguments.beam:
        raise ValueError("--beam-options are for --beam RUNNER, which is missing")
    import shlex

    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise ImportError("Apache Beam is missing: pip install keras-pose[scale]") from None
    return PipelineOptions(shlex.split(arguments.beam_options))
