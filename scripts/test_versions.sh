#!/usr/bin/env bash
# Run the tests with the newest or the lowest versions that pyproject.toml allows, or with those of constraints.txt, in
# a new environment .venv-WHICH-PYTHON:
#   scripts/test_versions.sh newest|lowest|pinned [arguments of pytest]
# PYTHON=python3.12 takes another Python; HOLD="torch numpy" holds these packages at the versions in constraints.txt;
# WORKERS=8 runs the tests in so many processes.
set -euo pipefail
cd "$(dirname "$0")/.."
which=$1
shift
case $which in newest | lowest | pinned) ;; *) echo "scripts/test_versions.sh newest|lowest|pinned, not $which" >&2 && exit 2 ;; esac
python=${PYTHON:-python3}
folder=.venv-$which-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -m venv --clear "$folder"
run() { "$folder/bin/python" -m "$@"; }

run pip install --quiet --upgrade pip packaging
if [ "$which" = pinned ]; then
    cp constraints.txt "$folder/constraints.txt"
else
    "$folder/bin/python" scripts/bounds.py "$which" ${HOLD:-} > "$folder/constraints.txt"
fi
run pip install --quiet --constraint "$folder/constraints.txt" --editable '.[test]'
run pip check
run pip freeze --exclude-editable
echo "== $which versions on $("$folder/bin/python" --version)"
run pytest -n "${WORKERS:-2}" --dist=worksteal "$@"
