#!/usr/bin/env bash
# What each knob costs on this machine, as ratios: scripts/bench.sh [key=value ...]; writes results/bench.md
set -euo pipefail
cd "$(dirname "$0")/.."

rows() {  # KNOB [key=value ...]: the row of one knob, without the head of its table
  zsc bench "$@" format=md 2>/dev/null | tail -n 1
}

{
  zsc bench knob=attn_bias "$@" format=md 2>/dev/null
  rows knob=attn_bias knob.profile=gradual "$@"
  rows knob=attn_bias knob.layers=[0] knob.heads=[0] "$@"
  rows knob=ctx_aug "$@"
  rows knob=self_attn_bias "$@"
  rows knob=swap "$@"
  for level in weights hidden cross_attention probs; do rows knob=dec_mix knob.level=$level "$@"; done
} > results/bench.md.part
mv results/bench.md.part results/bench.md
cat results/bench.md
