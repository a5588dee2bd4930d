#!/usr/bin/env bash
# What each knob costs on this machine, as ratios: scripts/bench.sh [key=value ...]; writes results/bench.md. How fast
# responses are made, beside other ways to make them, stands in results/bench-sweep.md, which scripts/results.sh writes.
set -euo pipefail
cd "$(dirname "$0")/.."

rows() {  # KNOB [key=value ...]: the rows of one knob, without the head of their table
  zsc bench measure=cost "$@" format=md 2>/dev/null | tail -n +3
}

{
  zsc bench measure=cost knob=attn_bias "$@" format=md 2>/dev/null
  rows knob=attn_bias knob.profile=gradual "$@"
  rows knob=attn_bias knob.layers=[0] knob.heads=[0] "$@"
  rows knob=ctx_aug "$@"
  rows knob=self_attn_bias "$@"
  rows knob=swap "$@"
  rows knob=dec_mix knob.level=[weights,hidden,cross_attention,probs] "$@"
} > results/bench.md.part
mv results/bench.md.part results/bench.md
cat results/bench.md
