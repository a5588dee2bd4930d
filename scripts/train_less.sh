#!/usr/bin/env bash
# Fine-tune with parts of a model frozen, each way with three seeds: scripts/train_less.sh OUT [key=value ...]
#
# `zsc table train_less trained=OUT` compares them. The settings are those of `zsc train task=dialogue`, such as
# task.checkpoint=facebook/bart-base. FROZEN="NAME+NAME ..." and SEEDS="N ..." choose among the trainings, so that several
# jobs can share them; NAME=TEXT puts a name before those of the folders. Stopped at any point, the same command goes on
# where it was.
set -euo pipefail
out=$1
frozen="nothing self_attention cross_attention feed_forward self_attention+feed_forward encoder encoder+self_attention
        encoder+self_attention+feed_forward encoder+embeddings+self_attention+feed_forward+norms"

for seed in ${SEEDS:-0 1 2}; do
  for parts in ${FROZEN:-$frozen}; do
    names=${parts/nothing/}
    folder="$out/${NAME:+${NAME}_}$parts-$seed"
    [ -d "$folder/model" ] || zsc train task=dialogue output="$folder" freeze="[${names//+/,}]" seed="$seed" \
      trainer.eval_strategy=no "${@:2}"
    rm -rf "$folder"/checkpoint-*
  done
done
