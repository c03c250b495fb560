#!/usr/bin/env bash
# Build the site as a tag publishes it: publish.sh FOLDER. No secrets, no host; what to do with FOLDER is the service's step.
set -euo pipefail
folder="$(realpath -m "${1:?usage: publish.sh FOLDER}")"
cd "$(dirname "$0")/.."
venv="$(mktemp -d)/venv"
python3 -m venv "$venv"
"$venv/bin/pip" install -q -r requirements-dev.lock
"$venv/bin/pip" install -q --no-deps -e .
"$venv/bin/mkdocs" build --strict --quiet --site-dir "$folder"
echo "the site is in $folder"
