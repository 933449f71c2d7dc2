"""Getting a file from the network once: continued where it broke off, checked, never half there."""

import contextlib
import errno
import hashlib
import http.client
import logging
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

_log = logging.getLogger("keras_pose")
_CHUNK = 1 << 18
_TIMEOUT = 30.0
# How often one address is tried again after a connection that brought nothing.
_FRUITLESS = 2
_AGENT = "keras-pose (https://keras.io)"


def fetch(addresses: Sequence[str], path: Path, hashes: Sequence[str] = ()) -> Path:
    """Downloads a file if it is not there yet.

    Args:
        addresses: `http(s)://...` and `hf://user/name/file` to try in turn.
        path: where the file shall lie; its folder is made if missing. What an interrupted
            download has brought lies beside it as `.partial` and is continued.
        hashes: the first digits that the file's SHA-256 may have; empty: not checked.

    Returns:
        `path`.

    Raises:
        OSError: no address gave the file, or the disk is full; it says what to do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with _alone(path):
        if path.is_file():
            wrong = wrong_hash(path, hashes)
            if wrong is None:
                return path
            path.unlink()
            _log.warning("%s was removed: %s", path, wrong)
        reasons: list[str] = []
        # A beginning from an earlier call may be that of another file: then it starts anew.
        begun = [addresses[0]] if partial.is_file() and addresses else []
        for address in [*begun, *addresses]:
            try:
                _fetch_from(address, partial, resume=bool(hashes))
            except (OSError, http.client.HTTPException) as error:
                if _is_full(error):
                    partial.unlink(missing_ok=True)
                    raise OSError(errno.ENOSPC, _no_room(path)) from None
                reasons.append(f"{address}: {_reason(error)}")
                continue
            wrong = wrong_hash(partial, hashes)
            if wrong is None:
                os.replace(partial, path)
                return path
            partial.unlink()
            reasons.append(f"{address}: {wrong}, the file was removed")
        reasons = list(dict.fromkeys(reasons))
    raise OSError(
        f"cannot download {path.name} ({'; '.join(reasons)}): put the file by hand at {path}, or "
        "set KERAS_POSE_MIRROR to a folder or address that has it"
    )


def wrong_hash(path: Path, hashes: Sequence[str]) -> str | None:
    """What is wrong with a file's hash, or None."""
    if not hashes:
        return None
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if any(found.startswith(digits) for digits in hashes):
        return None
    return f"its SHA-256 begins with {found[: len(hashes[0])]}, not {' or '.join(hashes)}"


def _fetch_from(address: str, partial: Path, resume: bool) -> None:
    """Brings the whole file to `partial`, over as many connections as it takes."""
    if address.startswith("hf://"):
        _from_hub(address, partial)
        return
    if not address.startswith(("http://", "https://")):
        raise OSError("an address must begin with http://, https:// or hf://")
    if not resume:
        # Nothing would tell that what is there is the beginning of the same file.
        partial.unlink(missing_ok=True)
    fruitless = 0
    while True:
        before = _size(partial)
        try:
            if _continue(address, partial):
                return
            problem: Exception = OSError("the connection broke off")
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # what is there reaches beyond the file
                partial.unlink()
                problem = error
            elif error.code < 500:
                raise
            else:
                problem = error
        except (OSError, http.client.HTTPException) as error:
            if _is_full(error):
                raise
            problem = error
        fruitless = 0 if _size(partial) > before else fruitless + 1
        if fruitless > _FRUITLESS:
            raise problem


def _continue(address: str, partial: Path) -> bool:
    """Adds to what is there by one connection; whether the file is complete."""
    have = _size(partial)
    headers = {"User-Agent": _AGENT, **({"Range": f"bytes={have}-"} if have else {})}
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        start = _first_byte(response) if response.status == 206 else 0
        if start not in (0, have):
            raise OSError("the server sends another part than it was asked for")
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        if total is not None and total - start > shutil.disk_usage(partial.parent).free:
            raise OSError(errno.ENOSPC, "no space")
        with (
            open(partial, "ab" if start else "wb") as file,
            tqdm(
                total=total,
                initial=start,
                unit="B",
                unit_scale=True,
                desc=partial.stem,
                leave=False,
                disable=None,
            ) as bar,
        ):
            while chunk := response.read(_CHUNK):
                _write(file, chunk)
                bar.update(len(chunk))
    return total is None or _size(partial) >= total


def _write(file, chunk: bytes) -> None:
    file.write(chunk)


def _first_byte(response) -> int:
    """Where the part begins that a server sends: `Content-Range: bytes 100-199/200`."""
    span = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(span) if span.isdigit() else -1


def _from_hub(address: str, partial: Path) -> None:
    """A file of a repository on the Hugging Face hub, by its own library."""
    try:
        import huggingface_hub
    except ImportError:
        raise OSError("this address needs huggingface_hub: pip install keras-pose[hub]") from None
    user, name, file = address.removeprefix("hf://").split("/", 2)
    try:
        found = huggingface_hub.hf_hub_download(f"{user}/{name}", file)
    except Exception as error:
        # The library has many kinds of errors, some of them no OSError.
        raise OSError(str(error).split("\n")[0]) from None
    shutil.copyfile(found, partial)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _is_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def _no_room(path: Path) -> str:
    return (
        f"the disk is full: {path.name} does not fit into {path.parent}; make room, or set "
        "KERAS_POSE_CACHE to a folder on another disk"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, BaseException) else error
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lets one process after the other get the same file, where the system can."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    key = zlib.crc32(str(path.absolute()).encode())
    with open(
        Path(tempfile.gettempdir()) / f"keras-pose-{os.getuid()}-{key:08x}.lock", "w"
    ) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
