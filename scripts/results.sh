#!/usr/bin/env bash
# Make the tables of results/ again: scripts/results.sh [DATA [JUDGE]]
#
# Without DATA, those on parlor. DATA holds topical_chat/ and wow_plus_plus/ in their official layouts. JUDGE is a causal
# language model, as judges.language_model. A run that is there is scored, not made, so a stopped script goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-} judge=${2:-}

table() {  # NAME [key=value ...]
  local name=$1 run=runs/results/$1
  shift
  zsc run "$@" output="$run" format=csv > "results/$name.csv"
  zsc score "$run" format=md > "results/$name.md"
  cp "$run/manifest.json" "results/$name.manifest.json"
}

tables() {  # NAME [key=value ...]: biasing and questions
  table "$1-attn_bias" knob=attn_bias knob.strength=[2,5,10] "${@:2}"
  table "$1-attn_bias-dialog" knob=attn_bias knob.profile=dialog "${@:2}"
  table "$1-ctx_aug" knob=ctx_aug knob.strength=5 "${@:2}"
}

decoders() {  # NAME [key=value ...]: mixing, and self-attention
  table "$1-dec_mix" knob=dec_mix knob.weight=[0.25,0.5,0.75,1] "${@:2}"
  table "$1-self_attn_bias" knob=self_attn_bias knob.profile=start knob.strength=[5,20,100] "${@:2}"
}

tables parlor
decoders parlor
[ -z "$data" ] && exit
topical=(dataset=topical_chat dataset.path="$data/topical_chat" dataset.limit=500)
wow=(dataset=wow_plus_plus dataset.path="$data/wow_plus_plus")
tables test_freq "${topical[@]}"
tables test_rare "${topical[@]}" dataset.split=test_rare
tables wow_plus_plus "${wow[@]}"
decoders test_freq "${topical[@]}"
decoders test_rare "${topical[@]}" dataset.split=test_rare
decoders wow_plus_plus "${wow[@]}"
for name in parlor test_freq; do
  for knob in attn_bias ctx_aug; do
    python scripts/pairing.py "runs/results/$name-$knob"
    echo
  done
done > results/pairing.md
[ -z "$judge" ] && exit
judged="metrics=[judge_perplexity_median,judge_perplexity_corpus,repetition,distinct2,self_bleu,length]"
for name in parlor test_freq test_rare; do
  for knob in attn_bias-dialog self_attn_bias; do
    [ -d "runs/results/$name-$knob" ] || continue
    python scripts/with_references.py "runs/results/$name-$knob" > "runs/results/$name-$knob.jsonl"
    zsc score "runs/results/$name-$knob.jsonl" "judges.language_model=$judge" "$judged" format=md \
      > "results/$name-$knob-judge.md"
  done
done
