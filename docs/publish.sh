#!/usr/bin/env bash
# Build the site as a tag publishes it: publish.sh FOLDER. No secrets, no host. `push.sh` hands FOLDER to a git host.
set -euo pipefail
folder="$(realpath -m "${1:?usage: publish.sh FOLDER}")"
cd "$(dirname "$0")/.."
command -v pandoc > /dev/null || echo "pandoc is not installed: the site will lack the article" >&2
venv="$(mktemp -d)/venv"
python3 -m venv "$venv"
"$venv/bin/pip" install -q -r requirements-dev.lock
"$venv/bin/pip" install -q --no-deps -e .
"$venv/bin/mkdocs" build --strict --quiet --site-dir "$folder"
echo "the site is in $folder"
