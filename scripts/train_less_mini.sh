#!/usr/bin/env bash
# The trainings of results/*/train_less.md: scripts/train_less_mini.sh DATA OUT, some three hours on two CPU cores
#
# DATA as for scripts/train_mini.sh. All start from the encoder of `mini` with its denoising decoder, but for two with
# another decoder: `lm_`, a language model trained here, and `untrained_`, the same before training; of these only the
# new cross-attention trains. Stopped at any point, the same command goes on where it was.
set -euo pipefail
data=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
[ -f "$out/dialogues/chat.jsonl" ] || python "$here/mini_dialogues.py" "$data" "$out/dialogues"
[ -f "$out/corpus/train.txt" ] || python "$here/mini_corpus.py" "$data" "$out/corpus"

turns=$out/dialogues grounded="{loader: jsonl, path: $out/dialogues/grounded.jsonl}"
options=(objective.checkpoint=mini trainer.max_steps=300 trainer.learning_rate=7.0e-4 trainer.warmup_steps=20
  trainer.save_steps=100 trainer.save_total_limit=1
  "objective.train=[$grounded,$grounded,{loader: jsonl, path: $turns/retrieved.jsonl},{loader: jsonl, path: $turns/restated.jsonl, limit: 1500},{loader: jsonl, path: $turns/chat.jsonl, limit: 15000}]"
  "objective.heldout=[{loader: jsonl, path: $turns/heldout.jsonl}]")

language_model() {  # NAME STEPS LEARNING_RATE
  [ -d "$out/$1/model" ] || zsc train objective=language_model objective.checkpoint=mini objective.text="$out/corpus/train.txt" \
    objective.heldout="$out/corpus/heldout.txt" output="$out/$1" trainer.per_device_train_batch_size=64 \
    trainer.max_steps="$2" trainer.learning_rate="$3" trainer.eval_steps=500
}

"$here/train_less.sh" "$out/ways" objective.decoder=denoiser.safetensors "${options[@]}"
language_model lm 2000 1.5e-3
language_model untrained 1 0
for name in lm untrained; do
  FROZEN=encoder+embeddings+self_attention+feed_forward+norms PREFIX=${name}_ "$here/train_less.sh" "$out/ways" \
    objective.language_model="$out/$name/model" "${options[@]}"
done
python "$here/bench_training.py" --trainings "$out/ways" --format md > "$out/costs.md"
