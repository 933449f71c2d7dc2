"""Compares models with the reference values of golden/models*, array by array.

    python tools/parity.py [CONFIG ...] [--only backbone] [--record FILE] [--below M] [--of FOLDER]

Prints one row per array with the difference and what it may be; the exit code is 1 if one is too
large or a model could not be built. `KERAS_BACKEND` chooses the backend. `--record` keeps the
results in a file from which `tools/coverage.py` makes the coverage table, and a model that is in
the file already is not run again, so that a long run can be resumed. What is compared of a kind of
model stands in the folder `reference`.
"""

import argparse
import datetime
import gc
import json
import sys
import time
from pathlib import Path

import keras
from reference.case import Difference
from reference.cases import open_case
from reference.index import FOLDERS, entries

GOLDEN = Path(__file__).resolve().parent.parent.parent / "shared/golden"


def check(golden: Path, config: str, only: str | None) -> tuple[list[Difference], str | None]:
    """The differences of one model, and what kept it from being compared further."""
    found: list[Difference] = []
    try:
        case = open_case(golden, config)
        if only:
            found.extend(case.part(only))
        else:
            for difference in case.differences(case.estimator()):
                found.append(difference)
    except Exception as error:  # Whatever it is, it is this model's result, and others follow.
        return found, f"{type(error).__name__}: {error}"
    return found, None


class Record:
    """Results of earlier runs: {config: {backend: {...}}} in a JSON file."""

    def __init__(self, path: Path):
        self.path = path
        self.results = json.loads(path.read_text("utf-8")) if path.is_file() else {}

    def has(self, config: str) -> bool:
        result = self.results.get(config, {}).get(keras.backend.backend(), {})
        return bool(result) and result["error"] is None and not result["too_large"]

    def add(self, config, found: list[Difference], error, seconds) -> None:
        # Runs of other backends may have written meanwhile.
        if self.path.is_file():
            self.results = json.loads(self.path.read_text("utf-8"))
        self.results.setdefault(config, {})[keras.backend.backend()] = {
            "date": datetime.date.today().isoformat(),
            "seconds": round(seconds, 1),
            "error": error,
            "too_large": [difference.name for difference in found if not difference.small],
            "checks": {d.name: [float(f"{d.value:.2g}"), d.limit] for d in found},
        }
        self.path.write_text(json.dumps(self.results, indent=0, sort_keys=True) + "\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="default: all")
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="folder of reference values")
    parser.add_argument("--only", choices=["backbone", "neck"], help="compare this part alone")
    parser.add_argument("--record", type=Path, metavar="FILE", help="JSON file of results")
    parser.add_argument("--below", type=float, metavar="M", help="parameters in millions")
    parser.add_argument("--of", choices=FOLDERS, action="append", help="a folder's models alone")
    arguments = parser.parse_args()
    if not arguments.golden.is_dir():
        parser.error(f"there is no folder {arguments.golden}")
    record = Record(arguments.record) if arguments.record else None
    limit = (arguments.below or float("inf")) * 1e6
    configs = arguments.configs or [
        entry["config"]
        for _, entry in entries(arguments.golden, arguments.of or FOLDERS)
        if entry["params"] < limit
    ]
    passed = True
    for config in configs:
        if record and record.has(config):
            continue
        print(f"{config} ({keras.backend.backend()})", flush=True)
        start = time.perf_counter()
        found, error = check(arguments.golden, config, arguments.only)
        for difference in found:
            mark = "ok" if difference.small else "TOO LARGE"
            numbers = f"{difference.value:9.2e} <= {difference.limit:7.1e}"
            print(f"  {difference.name:40} {numbers} {difference.unit:14} {mark}")
        if error:
            print(f"  NOT COMPARED {error}")
        passed &= error is None and all(difference.small for difference in found)
        if record:
            record.add(config, found, error, time.perf_counter() - start)
        release()
    return 0 if passed else 1


def release() -> None:
    """Frees the memory of the last model."""
    keras.backend.clear_session()
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
    gc.collect()


if __name__ == "__main__":
    sys.exit(main())
