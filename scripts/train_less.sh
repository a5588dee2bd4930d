#!/usr/bin/env bash
# Fine-tune with parts of a model frozen, each way with three seeds: scripts/train_less.sh OUT [key=value ...]
#
# `zsc table train_less trained=OUT` compares them. The options are those of `zsc train objective=dialogue`, such as
# objective.checkpoint=facebook/bart-base. FROZEN="NAME+NAME ..." and SEEDS="N ..." choose among the trainings, so that
# several jobs can share them; PREFIX=TEXT puts a text before the names of the folders. Stopped at any point, the same
# command goes on where it was. A finished training is not made again: new options need a new OUT.
set -euo pipefail
case ${1:-} in
  ""|-*|*=*) echo "usage: scripts/train_less.sh OUT [key=value ...]" >&2; exit 2 ;;
esac
out=$1
frozen="nothing self_attention cross_attention self_attention+feed_forward encoder encoder+self_attention
        encoder+embeddings+self_attention+feed_forward+norms"

for seed in ${SEEDS:-0 1 2}; do
  for parts in ${FROZEN:-$frozen}; do
    names=${parts/nothing/}
    folder="$out/${PREFIX:-}$parts-$seed"
    if [ -d "$folder/model" ]; then
      echo "$folder: there already" >&2
    else
      zsc train objective=dialogue output="$folder" freeze="[${names//+/,}]" seed="$seed" trainer.eval_strategy=no "${@:2}"
    fi
    rm -rf "$folder"/checkpoint-*
  done
done
