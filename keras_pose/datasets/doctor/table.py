"""The tables of checks: what each is called, how bad it is, who looks, and what to do."""

from collections.abc import Callable
from dataclasses import dataclass

from keras_pose.datasets.doctor import entries, forms, objects, pictures, sides
from keras_pose.datasets.doctor.contents import Found
from keras_pose.datasets.doctor.report import SEVERITIES


@dataclass(frozen=True)
class Check:
    """A row of the tables: name, severity, what to do, and the function that looks."""

    name: str
    severity: str
    find: Callable[..., Found | None]
    remedy: str


E_, W, N = SEVERITIES

CHECKS = (
    Check("entry-type", E_, entries.entries_that_are_no_dicts, "Remove or repair them."),
    Check("image-id", E_, entries.image_ids, "Number the images with integers."),
    Check("image-id-twice", E_, entries.image_ids_twice, "Give every image an id of its own."),
    Check("annotation-id", E_, entries.annotation_ids, "Number the annotations with integers."),
    Check(
        "annotation-id-twice",
        E_,
        entries.annotation_ids_twice,
        "Give every annotation an id of its own, counting from 1.",
    ),
    Check(
        "annotation-id-zero",
        N,
        entries.annotation_id_zero,
        "Count annotations from 1 if you want COCO AP.",
    ),
    Check(
        "image-unknown",
        E_,
        entries.unknown_images,
        "Add the images, remove the annotations, or write ids of one type.",
    ),
    Check(
        "categories-missing",
        W,
        entries.no_categories,
        "Add `categories` with `id`, `name` and the names of the `keypoints`, or give a skeleton.",
    ),
    Check("category-id", E_, entries.category_ids, "Give every category an integer id of its own."),
    Check(
        "category-unknown",
        E_,
        entries.unknown_categories,
        "Set `category_id` to an id of `categories`.",
    ),
    Check(
        "category-keypoints",
        E_,
        entries.different_keypoints,
        "Take one category at a time (keras-pose import-dataset --category NAME), or give the "
        "skeleton of all (--skeleton).",
    ),
    Check(
        "keypoint-names",
        W,
        entries.no_keypoint_names,
        "Name the keypoints in `categories`, or give a skeleton (--skeleton).",
    ),
    Check(
        "keypoint-order",
        E_,
        entries.keypoint_order,
        "Use the skeleton that the file was made for, or reorder the keypoints.",
    ),
    Check("links", N, entries.broken_links, "Links only draw lines: correct or ignore them."),
    Check(
        "keypoints-missing",
        N,
        entries.no_keypoints,
        "They are left out; remove them or label their keypoints.",
    ),
    Check(
        "keypoints-type",
        E_,
        entries.keypoints_no_numbers,
        "Write the keypoints as one flat list of numbers x, y, v for each keypoint in turn.",
    ),
    Check(
        "keypoint-count",
        E_,
        entries.keypoint_counts,
        "Write x, y, v for every keypoint of the skeleton (0, 0, 0 where it is not labelled), or "
        "give the skeleton that they were labelled for (--skeleton).",
    ),
    Check("file-name", E_, entries.no_file_names, "Name the image's file, relative to --images."),
    Check(
        "file-name-twice",
        W,
        entries.file_names_twice,
        "Join the entries: all objects of an image belong to one id.",
    ),
    Check(
        "image-size-missing",
        W,
        entries.image_sizes_missing,
        "Add `width` and `height`; without them each file is decoded to learn them.",
    ),
    Check("image-size-wrong", E_, entries.image_sizes_wrong, "Write the size in pixels."),
    Check(
        "image-without-object",
        N,
        entries.images_without_objects,
        "Fine for pictures without any object; otherwise label them or take them out.",
    ),
    Check(
        "coordinate-form",
        E_,
        forms.coordinate_form,
        "Convert the coordinates to pixels of the whole image and boxes to [x, y, width, height].",
    ),
    Check(
        "keypoint-not-finite",
        E_,
        objects.keypoints_not_finite,
        "Give them a position, or set all three numbers to 0.",
    ),
    Check(
        "visibility-flag",
        E_,
        objects.flags,
        "Write 0 for not labelled, 1 for labelled but hidden, 2 for labelled and seen.",
    ),
    Check(
        "keypoint-outside",
        W,
        objects.keypoints_outside,
        "Correct them, or set their flag to 0: nothing outside the picture can be learnt.",
    ),
    Check(
        "keypoint-at-origin",
        W,
        objects.keypoints_at_origin,
        "Set the flag to 0 if they were not labelled: the network would learn the corner.",
    ),
    Check(
        "unlabelled-position",
        N,
        objects.unlabelled_with_position,
        "They are not read; set the flag to 1 if they are labels of hidden points.",
    ),
    Check(
        "never-labelled",
        W,
        objects.never_labelled,
        "Label them somewhere, or leave them out of the skeleton: they cannot be learnt.",
    ),
    Check("few-keypoints", N, objects.few_keypoints, "They teach little; check that it is meant."),
    Check(
        "object-unlabelled",
        N,
        objects.unlabelled_objects,
        "Training leaves them out; evaluation ignores them.",
    ),
    Check(
        "object-twice",
        W,
        objects.objects_twice,
        "Remove one of the two: it would count as a missed object in evaluation.",
    ),
    Check(
        "num-keypoints-missing", N, objects.num_keypoints_missing, "The flags are counted instead."
    ),
    Check(
        "num-keypoints-wrong",
        W,
        objects.num_keypoints_wrong,
        "Count the flags above 0; objects with 0 are left out of training and evaluation.",
    ),
    Check(
        "box-missing",
        W,
        objects.boxes_missing,
        "Add `bbox`: objects without a box are left out of top-down training.",
    ),
    Check("box-type", E_, objects.boxes_no_numbers, "Write [x, y, width, height] in pixels."),
    Check("box-empty", E_, objects.boxes_empty, "Write [x, y, width, height] in pixels."),
    Check("box-outside", E_, objects.boxes_outside, "Write [x, y, width, height] in pixels."),
    Check("box-beyond", W, objects.boxes_beyond, "Clip them, or check that they are x, y, w, h."),
    Check(
        "box-not-enclosing",
        W,
        objects.boxes_not_enclosing,
        "Crops are made of boxes: check that boxes and keypoints are of the same object.",
    ),
    Check(
        "area-missing",
        W,
        objects.areas_missing,
        "Add `area`; it scales COCO's OKS, 0.53 of the box is taken without it.",
    ),
    Check(
        "area-wrong",
        W,
        objects.areas_wrong,
        "Write the area in square pixels, of the segmentation or of the box.",
    ),
    Check(
        "swap-asymmetric",
        E_,
        sides.asymmetric_pairs,
        "Let both keypoints of a pair name each other as `swap`.",
    ),
    Check(
        "swap-names",
        W,
        sides.pairs_against_names,
        "Correct the pairs of the skeleton: mirrored pictures would teach the wrong sides.",
    ),
    Check("side-alone", N, sides.sides_without_partner, "Check the names of the keypoints."),
    Check("links-one-sided", N, sides.one_sided_links, "Links only draw lines; check for a typo."),
    Check(
        "swap-data",
        W,
        sides.pairs_against_data,
        "Correct the pairs of the skeleton (--json lists all that the data suggest), or train "
        "without mirrored pictures.",
    ),
    Check(
        "mirror-unlike",
        N,
        sides.mirror_unlike,
        "Train and predict without mirroring (flip=None, flip_test=False).",
    ),
    Check("sides-swapped", W, sides.swapped_sides, "Look at them (--sheet) and correct them."),
    Check(
        "sigmas-missing",
        N,
        sides.sigmas_missing,
        "Give a skeleton with sigmas if you want AP; --estimate-sigmas estimates them.",
    ),
)

# These also get the pictures (`pictures.look_at`).
PICTURE_CHECKS = (
    Check("image-missing", E_, pictures.missing, "Check --images and `file_name`."),
    Check("image-corrupt", E_, pictures.corrupt, "Replace the files or take them out."),
    Check(
        "image-turned",
        E_,
        pictures.turned,
        "Turn the pixels once and remove the EXIF orientation, or annotate the upright picture.",
    ),
    Check(
        "image-size-differs",
        E_,
        pictures.other_sizes,
        "Write the size of the files; if they were resized, resize the annotations too.",
    ),
    Check("image-twice", W, pictures.same_pictures, "Keep one of each."),
    Check(
        "image-similar",
        N,
        pictures.similar_pictures,
        "Frames of a video resemble each other: keep neighbours in one split.",
    ),
)

# These also get another file: its name, and its pictures or images.
SPLIT_CHECKS = (
    Check(
        "split-shared",
        E_,
        pictures.shared_pictures,
        "Take them out of one of the two: results on pictures seen in training mean nothing.",
    ),
    Check(
        "split-similar",
        N,
        pictures.shared_looks,
        "Split by video or by session if they are neighbouring frames.",
    ),
)
SPLIT_NAME_CHECK = Check(
    "split-names", W, pictures.shared_names, "Give --images to compare the files themselves."
)
