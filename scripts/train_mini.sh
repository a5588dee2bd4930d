#!/usr/bin/env bash
# Make the embedded model `mini`: scripts/train_mini.sh DATA OUT
#
# DATA holds topical_chat/, self_dialogue/ and text/ (sources: zsc/models/mini/README.md). About an hour and a half on
# two otherwise idle CPU cores. Stopped at any point, the same command goes on where it was.
set -euo pipefail
data=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"

[ -f "$out/corpus/train.txt" ] || python "$here/mini_corpus.py" "$data" "$out/corpus"
[ -f "$out/dialogues/chat.jsonl" ] || python "$here/mini_dialogues.py" "$data" "$out/dialogues"

denoise() {  # FOLDER SEGMENT_TOKENS STEPS BATCH LEARNING_RATE SCHEDULE WARMUP [key=value ...]
  [ -d "$out/$1/model" ] || zsc train task=denoise output="$out/$1" \
    task.text="$out/corpus/train.txt" task.heldout="$out/corpus/heldout.txt" task.segment_tokens="$2" \
    trainer.max_steps="$3" trainer.per_device_train_batch_size="$4" trainer.learning_rate="$5" \
    trainer.lr_scheduler_type="$6" trainer.warmup_steps="$7" trainer.eval_steps=100 trainer.save_steps=100 "${@:8}"
}

# copying forms on short segments; longer ones follow
denoise stage1 22 700 128 1.5e-3 constant_with_warmup 200
denoise stage2 62 800 48 1.2e-3 constant_with_warmup 30 task.checkpoint="$out/stage1/model"
denoise stage3 160 560 20 1.0e-3 linear 30 task.checkpoint="$out/stage2/model"

# grounded turns three times an epoch beside the ungrounded ones; encoder and embeddings stay frozen
grounded="{loader: jsonl, path: $out/dialogues/grounded.jsonl}"
chat="{loader: jsonl, path: $out/dialogues/chat.jsonl}"
[ -d "$out/dialogue/model" ] || zsc train task=dialogue output="$out/dialogue" \
  task.checkpoint="$out/stage3/model" "task.train=[$grounded,$grounded,$grounded,$chat]" \
  "task.heldout=[{loader: jsonl, path: $out/dialogues/heldout.jsonl}]" \
  trainer.max_steps=1900 trainer.per_device_train_batch_size=32 trainer.learning_rate=1.0e-3 trainer.warmup_steps=50 \
  trainer.eval_steps=500 trainer.save_steps=200 +trainer.dataloader_num_workers=1

# the denoising decoder learns to copy clean text and to stop, for the same encoder
denoise denoiser 30 260 128 8.0e-4 linear 20 task.checkpoint="$out/stage3/model" task.noise.clean=0.5 \
  "freeze=[encoder,embeddings]" +trainer.dataloader_num_workers=1

python "$here/pack_mini.py" "$out/dialogue/model" "$out/denoiser/model"
