# Functions for the scripts beside it: finding Python, making a virtual environment.
# shellcheck shell=bash

OLDEST_PYTHON="3.11"

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# Prints the path of a Python that is new enough; PYTHON=... names one.
find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python $OLDEST_PYTHON or newer is needed and $(python3 --version 2>/dev/null || echo 'no Python') was found:" \
        "on Debian or Ubuntu 'apt-get install python3 python3-venv', on macOS 'brew install python@3.13'," \
        "else https://www.python.org/downloads; PYTHON=/path/to/python names one that is not in PATH"
}

# make_environment FOLDER: a virtual environment with pip, reused where it is there.
make_environment() {
    local folder="$1" python version
    if "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    python="$(find_python)" || exit 1
    version="$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
    say "Making the virtual environment $folder with $python"
    make_with_venv "$python" "$folder" && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing $version-venv"
        apt-get install -y -qq "$version-venv" >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -y -qq "$version-venv"; } >/dev/null 2>&1
        make_with_venv "$python" "$folder" && return
    fi
    make_with_virtualenv "$python" "$folder" && return
    fail "$python can make no virtual environment: on Debian or Ubuntu" \
        "'sudo apt-get install $version-venv', on macOS 'brew install python@3.13', then run this again"
}

make_with_venv() {
    "$1" -m venv "$2" >/dev/null 2>&1 && return
    rm -rf "$2"
    return 1
}

# Without the package venv, pip can still bring virtualenv; it is kept out of the user's Python.
make_with_virtualenv() {
    local place result
    if "$1" -m virtualenv --version >/dev/null 2>&1; then
        "$1" -m virtualenv -q "$2" >/dev/null
        return
    fi
    place="$(mktemp -d)"
    "$1" -m pip install -q --target "$place" virtualenv >/dev/null 2>&1 &&
        PYTHONPATH="$place" "$1" -m virtualenv -q "$2" >/dev/null
    result=$?
    rm -rf "$place"
    return $result
}

# checksum PATH...: one number for the content of files and folders.
checksum() {
    find "$@" -type f ! -name '*.pyc' | LC_ALL=C sort | tr '\n' '\0' | xargs -0 cat | cksum |
        tr -s ' ' '-'
}

# is_installed FOLDER STAMP: whether mark_installed was called with this stamp.
is_installed() { [ "$(cat "$1/.keras_pose_stamp" 2>/dev/null)" = "$2" ]; }
mark_installed() { printf '%s\n' "$2" >"$1/.keras_pose_stamp"; }

# pip_install FOLDER WORDS...: quiet pip of an environment.
pip_install() {
    local folder="$1"
    shift
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
