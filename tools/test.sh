#!/usr/bin/env bash
# Runs the whole test suite under each backend, one after the other. Arguments go to pytest:
#     bash tools/test.sh -k video
# KERAS_POSE_VENV=FOLDER names the virtual environment (default .venv); what the tests need is
# installed into it. KERAS_POSE_BACKENDS="jax torch" runs some backends only. Tests of code that
# knows no backend run under the first one only; the others list them as deselected. Two processes
# share the test files; KERAS_POSE_TEST_PROCESSES=1 makes it one.

set -euo pipefail
cd "$(dirname "$0")/.."
. tools/environment.sh

environment="${KERAS_POSE_VENV:-.venv}"
backends="${KERAS_POSE_BACKENDS:-jax tensorflow torch}"
processes="${KERAS_POSE_TEST_PROCESSES:-2}"
spread=()
if [ "$processes" != 1 ]; then
    spread=(--numprocesses "$processes" --dist loadfile)
    # threads of one process would stand in the way of the other's
    export OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1
fi

make_environment "$environment"
stamp="$(checksum pyproject.toml tools/test.sh)"
if ! is_installed "$environment" "$stamp"; then
    say "Installing what the tests need (about 1 GB to download)"
    torch="torch"
    if [ "$(uname -sm)" = "Linux x86_64" ]; then
        torch="torch==2.13.0"
    fi
    pip_install "$environment" "$torch"
    pip_install "$environment" -e ".[train,export,video,supervision,import,scale,dev,jax]"
    "$environment/bin/python" -m pip check
    mark_installed "$environment" "$stamp"
fi

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
totals=""
chosen=""
result=0
for backend in $backends; do
    say "== $backend"
    status=0
    KERAS_BACKEND="$backend" "$environment/bin/python" -m pytest ${spread[@]+"${spread[@]}"} -m "$chosen" "$@" 2>&1 |
        tee "$log" || status="${PIPESTATUS[0]}"
    chosen="not without_backend"
    summary="$(grep -aE '(passed|failed|error|no tests ran).* in [0-9.]+s' "$log" | tail -n 1 | tr -d '=' || true)"
    totals="$totals$(printf '%-12s %s' "$backend" "${summary:-did not finish} (exit code $status)")"$'\n'
    [ "$status" = 0 ] || result=1
done
printf '\n%s' "$totals"
exit "$result"
