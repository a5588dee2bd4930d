"""Help texts with commands to copy."""

OVERVIEW = """\
zsc: control knobs for encoder-decoder language models, applied at generation time without training.

usage: zsc COMMAND [key=value ...]

  run      generate with a knob off and on, score both, print the difference
  score    score a run again, without the model
  annotate export blind pairs of responses for people to judge, and read their judgements back
  ls       list models, datasets, knobs, decodings and metrics
  data     show a dataset: counts, lengths, card, and examples as the model sees them
  doctor   check this installation, the model, its knobs and the data
  train    denoising pre-training, or fine-tuning on dialogue
  bench    measure what a knob costs

  zsc run knob=attn_bias                       the embedded model on the embedded examples
  zsc run knob=ctx_aug knob.strength=[1,5]     one setting of each strength
  zsc run knob=[attn_bias,ctx_aug]             two knobs together
  zsc run --help                               settings and more examples

Exit status: 0 done, 2 bad input, 130 interrupted (the same command resumes), 1 a fault of zsc."""

COMMANDS = {
    "run": """\
usage: zsc run [key=value ...] [-m]

Generates one response per example and seed with the knob off and on, and prints each metric for both and their
paired difference, with bootstrap intervals; with several settings, a star marks those whose difference to off excludes
0. A run that was stopped is resumed by the same command.

  zsc run knob=attn_bias
  zsc run knob=attn_bias knob.strength=[0.5,2,5] decoding=greedy
  zsc run knob=attn_bias knob.profile=gradual knob.start=dialog knob.end=knowledge
  zsc run knob=attn_bias "knob.profile='text:film|movie'"
  zsc run knob=ctx_aug knob.phrases=topic_music
  zsc run knob=dec_mix knob.level=probs knob.weight=[0.25,0.5,0.75]
  zsc run knob=self_attn_swap knob.by=random
  zsc run knob=[attn_bias,ctx_aug] knob.attn_bias.strength=2 knob.ctx_aug.strength=5
  zsc run knob=attn_bias model=facebook/bart-base dataset=topical_chat dataset.path=DIR dataset.limit=500
  zsc run knob=attn_bias model=./my-checkpoint dataset=jsonl dataset.path=records.jsonl
  zsc run knob=attn_bias format=json > table.json
  zsc run -m knob=attn_bias dataset=parlor,topical_chat

  model=NAME          mini, mini_denoiser, a folder, or a name on the Hugging Face hub
  dataset=NAME        parlor, topical_chat, wow_plus_plus, wizard, jsonl; dataset.path, dataset.split, dataset.limit
  knob=NAME           none, attn_bias, ctx_aug, dec_mix, self_attn_bias, self_attn_swap; its settings as knob.SETTING,
                      all listed by --cfg job; knob.strength and knob.weight may be lists
  knob=[NAME,NAME]    several knobs together; their settings as knob.NAME.SETTING
  decoding=NAME       sample, greedy, beam; decoding.temperature, decoding.top_p, decoding.max_new_tokens
  seeds=[0,1,2]       one response per example and seed
  metrics=[NAME,...]  which metrics to score, see `zsc ls`
  output=DIR          run folder (default: runs/ and a name made from the settings)
  format=FORMAT       table, md, csv, json
  --cfg job           print the whole composed configuration and stop
  -m                  run every combination of comma-separated values; each prints a table of its own""",
    "score": """\
usage: zsc score RUN [key=value ...]

Scores the generations in the folder RUN again and prints the table. No model is loaded.

  zsc score runs/attn_bias-parlor-mini-0123456789
  zsc score RUN metrics=[knowledge_rouge1,question_rate] resampling.resamples=10000 format=md""",
    "ls": """\
usage: zsc ls [format=table|md|csv|json]

Lists models, datasets, knobs, decodings and metrics with a line each.

  zsc ls
  zsc ls format=json""",
    "data": """\
usage: zsc data DATASET [key=value ...]

  zsc data parlor""",
    "doctor": """\
usage: zsc doctor [key=value ...]

  zsc doctor""",
    "annotate": """\
usage: zsc annotate RUN [key=value ...]

  zsc annotate runs/attn_bias-parlor-mini-0123456789""",
    "train": """\
usage: zsc train output=DIR [key=value ...]

Trains an encoder-decoder with the Hugging Face Trainer. A run that was stopped is resumed by the same command;
the final model is DIR/model.

  zsc train output=runs/denoise task=denoise task.text=train.txt task.heldout=heldout.txt trainer.max_steps=2000
  zsc train output=runs/long task=denoise task.checkpoint=runs/denoise/model task.segment_tokens=128 \
      task.text=train.txt task.heldout=heldout.txt
  ZSC_DATA=DIR zsc train output=runs/dialogue task=dialogue task.checkpoint=runs/long/model
  zsc train output=runs/all task=dialogue task.checkpoint=facebook/bart-base freeze=[] \
      "task.train=[{loader: jsonl, path: train.jsonl}]" "task.heldout=[{loader: jsonl, path: heldout.jsonl}]"

  task=denoise        text infilling and sentence permutation, from nothing or from task.checkpoint
  task=dialogue       fine-tuning on grounded dialogue
  freeze=[NAME,...]   parts that do not train: embeddings, encoder, self_attention, cross_attention, feed_forward
  precision=auto      bf16 where the hardware computes it; fp32; bf16
  trainer.FIELD=X     any field of transformers.TrainingArguments (+trainer.FIELD=X if it is not in the config)""",
    "bench": """\
usage: zsc bench [key=value ...]

Prints time(knob on) / time(knob off) of generating the same batch with the same number of steps, in one run.

  zsc bench knob=attn_bias
  zsc bench knob=attn_bias batch_size=8 repeats=21 model.device=cuda""",
}
