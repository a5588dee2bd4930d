#!/usr/bin/env bash
# Make an environment that sees the packages of another one, with more of its own: scripts/overlay.sh BASE NEW PACKAGE ...
set -euo pipefail
cd "$(dirname "$0")/.."
base=$1 new=$2
shift 2
purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
"$base/bin/python" -m venv --clear "$new"
echo "import site; site.addsitedir('$(cd "$("$base/bin/python" -c "$purelib")" && pwd)')" > "$("$new/bin/python" -c "$purelib")/shared.pth"
"$new/bin/python" -m pip install --quiet --constraint constraints.txt "$@"
