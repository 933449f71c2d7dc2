#!/usr/bin/env bash
# From a fresh machine to poses: installs the package with JAX on the CPU into .venv-demo, then
# finds the people of the sample photos and the sample clip and draws them into demo_output.
# Needs Python 3.11 or newer and, the first time, the package index.

set -euo pipefail
cd "$(dirname "$0")/.."
. tools/environment.sh

environment=".venv-demo"
output="demo_output"

make_environment "$environment"
stamp="$(checksum pyproject.toml keras_pose presets)"
if ! is_installed "$environment" "$stamp"; then
    say "Installing keras_pose with JAX (about 200 MB to download)"
    pip_install "$environment" ".[jax,video]"
    mark_installed "$environment" "$stamp"
fi

"$environment/bin/keras-pose" predict presets/samples --backend jax --device cpu --draw-boxes \
    --out "$output" --json "$output/poses.json"
