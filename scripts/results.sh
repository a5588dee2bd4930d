#!/usr/bin/env bash
# Make the tables of results/ again: scripts/results.sh [TOPICAL_CHAT_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."

table() {  # NAME [key=value ...]
  local name=$1 run
  shift
  run=runs/results-$name
  zsc run knob=attn_bias "$@" output="$run" format=md > "results/$name.md"
  cp "$run/manifest.json" "results/$name.manifest.json"
}

for strength in 0.2 2 5 10; do
  table "parlor-knowledge-$strength" knob.strength=$strength
done
table parlor-dialog-5 knob.profile=dialog
if [ $# -gt 0 ]; then
  for profile in knowledge dialog; do
    table "topical_chat-$profile-5" knob.profile=$profile dataset=topical_chat dataset.path="$1" dataset.limit=500
  done
fi
