"""The command `keras-pose`.

Exit codes: 0 all done, 1 some inputs failed and the others are done, 2 nothing was done (a wrong
option or input, a missing package), 130 stopped by Ctrl-C. Results go to files and stdout,
everything else to stderr.
"""

import argparse
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

from keras_pose.cli import (
    check,
    convert,
    datasets,
    evaluate,
    export,
    import_dataset,
    info,
    mirror,
    predict,
    prepare,
    presets,
    train,
    verify,
)
from keras_pose.files import reason

_PACKAGE = Path(__file__).parents[1]
_formatted = warnings.formatwarning
_COMMANDS = (
    *(predict, presets, info, export, verify, convert, mirror),
    *(datasets, check, import_dataset, prepare, train, evaluate),
)


def main(argv: list[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the words after `keras-pose`. Default: those of this process.

    Returns:
        The exit code.
    """
    arguments = _parsed(argv)
    formatted, warnings.formatwarning = warnings.formatwarning, _warning
    try:
        return arguments.run(arguments)
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of stdout, such as `head`, has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"keras-pose: error: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("keras-pose: stopped", file=sys.stderr)
        return 130
    finally:
        warnings.formatwarning = formatted


def _sentence(error: Exception) -> str:
    """What an error says; of the system's own, which file and why."""
    if isinstance(error, OSError) and error.errno:
        return f"{error.filename}: {reason(error)}" if error.filename else reason(error)
    return str(error)


def _warning(message, category, filename, lineno, line=None) -> str:
    """A warning as a line on stderr: the package's own are sentences for users."""
    if issubclass(category, UserWarning) and Path(filename).is_relative_to(_PACKAGE):
        return f"keras-pose: {message}\n"
    return _formatted(message, category, filename, lineno, line)


def _parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    # argparse takes no second group of sources after an option; users write them there.
    if rest and hasattr(arguments, "source") and not any(word.startswith("-") for word in rest):
        arguments.source += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-pose",
        description="Finds people and their poses in photos and videos.",
        epilog="'keras-pose COMMAND --help' explains a command. Nothing is ever sent anywhere.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"keras-pose {version('keras-pose')}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
