#!/usr/bin/env bash
# Make the embedded model `mini`: scripts/train_mini.sh DATA OUT [cpu|gpu]
#
# DATA holds topical_chat/, self_dialogue/ and text/ (sources: zsc/models/mini/README.md). cpu is for two otherwise idle
# cores, about two and a half hours; gpu is for one large accelerator with 16 cores beside it, 25 minutes at 10 steps a
# second. Stopped at any point, the same command goes on where it was.
set -euo pipefail
data=$1 out=$2 budget=${3:-cpu}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"

case $budget in  # STAGE: STEPS x BATCH
  cpu) workers=1
       sizes="stage1 700 128  stage2 800 48  stage3 560 20  copy 260 128  stage4 1200 32
              dialogue1 1000 32  dialogue 2400 32  denoiser 260 128" ;;
  gpu) workers=12
       sizes="stage1 2000 256  stage2 2500 192  stage3 1500 96  copy 500 256  stage4 3000 128
              dialogue1 1500 128  dialogue 3500 128  denoiser 500 256" ;;
  *) echo "budget '$budget' is not one of cpu, gpu" >&2; exit 2 ;;
esac

size() { awk -v stage="$1" -v field="$2" '{ for (i = 1; i <= NF; i++) if ($i == stage) print $(i + field) }' <<<"$sizes"; }

train() {  # STAGE LEARNING_RATE SCHEDULE WARMUP [key=value ...]
  [ -d "$out/$1/model" ] || zsc train output="$out/$1" trainer.max_steps="$(size "$1" 1)" \
    trainer.per_device_train_batch_size="$(size "$1" 2)" trainer.learning_rate="$2" trainer.lr_scheduler_type="$3" \
    trainer.warmup_steps="$4" trainer.eval_steps=100 trainer.save_steps=100 +trainer.dataloader_num_workers=$workers "${@:5}"
}

denoise() {  # STAGE LEARNING_RATE SCHEDULE WARMUP SEGMENT_TOKENS [key=value ...]
  train "${@:1:4}" objective=denoise objective.text="$out/corpus/train.txt" objective.heldout="$out/corpus/heldout.txt" \
    objective.segment_tokens="$5" "${@:6}"
}

frozen="freeze=[encoder,embeddings]"
[ -f "$out/corpus/train.txt" ] || python "$here/mini_corpus.py" "$data" "$out/corpus"
[ -f "$out/dialogues/chat.jsonl" ] || python "$here/mini_dialogues.py" "$data" "$out/dialogues"

# copying forms on short segments; longer ones follow
denoise stage1 1.5e-3 constant_with_warmup 200 22
denoise stage2 1.2e-3 constant_with_warmup 30 62 objective.checkpoint="$out/stage1/model"
denoise stage3 1.0e-3 linear 30 160 objective.checkpoint="$out/stage2/model"
# the decoder learns to copy clean text and to stop
denoise copy 8.0e-4 linear 20 30 objective.checkpoint="$out/stage3/model" objective.noise.clean=0.5 "$frozen"
# sentences of every segment shuffled
denoise stage4 8.0e-4 linear 40 120 objective.checkpoint="$out/copy/model" objective.noise.permute=1.0 objective.noise.clean=0.1

dialogue() {  # STAGE LEARNING_RATE SCHEDULE WARMUP FROM RESTATED [key=value ...]
  local turns=$out/dialogues grounded="{loader: jsonl, path: $out/dialogues/grounded.jsonl}"
  train "${@:1:4}" objective=dialogue objective.checkpoint="$out/$5/model" trainer.eval_steps=600 trainer.save_steps=200 \
    "objective.train=[$grounded,$grounded,{loader: jsonl, path: $turns/retrieved.jsonl},{loader: jsonl, path: $turns/restated.jsonl, limit: $6},{loader: jsonl, path: $turns/chat.jsonl, limit: 15000}]" \
    "objective.heldout=[{loader: jsonl, path: $turns/heldout.jsonl}]" "${@:7}"
}

# many turns that restate their knowledge teach the decoder to copy from it; few of them, to respond
dialogue dialogue1 1.0e-3 polynomial 50 stage4 8000 '+trainer.lr_scheduler_kwargs={lr_end: 7.324e-4, power: 1.0}'
dialogue dialogue 7.3e-4 linear 20 dialogue1 1500 seed=1
# the denoising decoder, for the same encoder
denoise denoiser 8.0e-4 linear 20 30 objective.checkpoint="$out/stage4/model" objective.noise.clean=0.5 "$frozen"

python "$here/pack_mini.py" "$out/dialogue/model" "$out/denoiser/model"
