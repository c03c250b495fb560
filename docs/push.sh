#!/usr/bin/env bash
# Make a folder the only commit of the branch `pages` of a git remote: push.sh FOLDER REMOTE. The working tree is not touched.
set -euo pipefail
usage="usage: push.sh FOLDER REMOTE"
folder="$(realpath "${1:?$usage}")"
remote="${2:?$usage}"
cd "$(dirname "$0")/.."
touch "$folder/.nojekyll" # hosts that run Jekyll would leave out names that begin with _
export GIT_INDEX_FILE
GIT_INDEX_FILE="$(mktemp -d)/index"
git --work-tree="$folder" add --all --force .
commit="$(git commit-tree "$(git write-tree)" -m "The site of $(git rev-parse --short HEAD)")"
git push --quiet --force "$remote" "$commit:refs/heads/pages"
echo "pages of $remote is the site in $folder"
