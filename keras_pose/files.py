"""Writing files so that nobody ever finds half of one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary path beside `path` that becomes `path` once the block has succeeded.

    After an error inside the block the temporary file is removed, and an earlier file at `path`
    stays as it was; so it does when the block writes nothing. The folder must exist.

    Args:
        path: where the finished file shall lie.

    Yields:
        The path to write to; it has the suffix of `path`.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}-{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        if partial.exists():
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Why a file cannot be read or written, in the system's words: "No space left on device".

    Libraries such as HDF5 put a paragraph in their place.
    """
    return os.strerror(error.errno) if error.errno else str(error)


def writable_folder(folder: str | os.PathLike) -> Path:
    """Makes a folder where it is missing and checks that files can be written into it.

    Args:
        folder: path of the folder.

    Returns:
        The same path.

    Raises:
        ValueError: nothing can be written there; the message says why.
    """
    folder = Path(folder)
    probe = folder / f".keras-pose-{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"cannot write into the folder {folder}: {reason(error)}") from None
    return folder
