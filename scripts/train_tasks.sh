#!/usr/bin/env bash
# Fine-tune `mini` for two tasks beside dialogue: scripts/train_tasks.sh DATA OUT
#
# DATA holds text/, self_dialogue/ and topical_chat/. OUT gets corpora/, and the trainings questions/ (from a context to a
# question on it) and registers/ (from a sentence of mixed register to the same in one), side by side, each on one core,
# with a log beside it. Both start from the denoising decoder of `mini` and leave its encoder and embeddings as they
# are. Stopped at any point, the same command goes on where it was.
set -euo pipefail
data=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=1
mkdir -p "$out"

train() {  # NAME FIELD STEPS LEARNING_RATE
  local corpus=$out/corpora/$1
  [ -f "$corpus/train.jsonl" ] || python "$here/${1%s}_corpus.py" "$data" "$corpus"
  [ -d "$out/$1/model" ] || zsc train output="$out/$1" objective=text_to_text objective.checkpoint=mini \
    objective.decoder=denoiser.safetensors "objective.train=[{loader: jsonl, path: $corpus/train.jsonl}]" \
    "objective.heldout=[{loader: jsonl, path: $corpus/heldout.jsonl, limit: 400}]" objective.target_tokens=48 \
    layout=plain layout.field="$2" 'freeze=[encoder,embeddings]' trainer.max_steps="$3" trainer.learning_rate="$4" \
    trainer.warmup_steps=40 trainer.logging_steps=10 trainer.eval_steps=100 trainer.save_steps=100 \
    trainer.per_device_eval_batch_size=50
}

train questions context 400 1.0e-3 2> "$out/questions.log" &
questions=$!
train registers source 400 8.0e-4 2> "$out/registers.log" &
registers=$!
wait $questions
wait $registers
