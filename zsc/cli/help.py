"""Help texts with commands to copy."""

OVERVIEW = """\
zsc: control knobs for encoder-decoder language models, applied at generation time without training.

usage: zsc COMMAND [key=value ...]

  run      generate with a knob off and on, score both, print the difference
  sweep    the same over many settings, with one model load and one encoder pass for all
  plan     what a run or sweep will generate, what is there already, and how long the rest takes
  tune     find the strongest setting of a knob within a budget of fluency
  table    make a table of the paper from stored responses
  report   one page of curves, trade-offs, examples and attention from finished runs
  score    score a run again, without the model, or a table of other systems' responses
  annotate export blind pairs of responses for people to judge, and read their judgements back
  ls       list models, datasets, knobs, decodings and metrics
  data     show a dataset: counts, lengths, card, and examples as the model sees them
  doctor   check this installation, the model, its knobs and the data
  train    pre-training, or fine-tuning on dialogue, with chosen parts frozen
  bench    measure what a knob costs

  zsc run knob=attn_bias                         the embedded model on the embedded examples
  zsc run knob=ctx_aug 'knob.strength=[1,5]'     one setting of each strength
  zsc run 'knob=[attn_bias,ctx_aug]'             two knobs together
  zsc sweep knob=attn_bias 'knob.strength=[0.2,0.5,1,2,5,10,20]'
  zsc run --help                                 settings and more examples

Quote words with brackets, parentheses or spaces for the shell. --config-dir FOLDER adds options of your own.

Exit status: 0 done, 2 bad input, 130 interrupted (the same command resumes), 141 the reader of stdout has gone (what
was made is kept), 1 a fault of zsc."""

COMMANDS = {
    "run": """\
usage: zsc run [key=value ...] [-m]

Generates one response per example and seed with the knob off and on, and prints each metric for both and their
paired difference, with bootstrap intervals and sign-flip tests adjusted for their number (Holm); with several
settings, a star marks those that differ from off at p < .05. A run that was stopped is resumed by the same command.

  zsc run knob=attn_bias
  zsc run knob=attn_bias 'knob.strength=[0.5,2,5]' decoding=greedy
  zsc run knob=attn_bias knob.profile=gradual knob.start=dialog knob.end=knowledge
  zsc run knob=attn_bias 'knob.profile=text:film|movie'
  zsc run knob=ctx_aug knob.phrases=topic_music
  zsc run knob=dec_mix knob.level=probs 'knob.weight=[0.25,0.5,0.75]'
  zsc run knob=swap knob.component=feed_forward 'knob.by=[other,random]'
  zsc run 'knob=[attn_bias,ctx_aug]' knob.attn_bias.strength=2 knob.ctx_aug.strength=5
  zsc run knob=attn_bias model=facebook/bart-base dataset=topical_chat dataset.path=DIR dataset.limit=500
  zsc run knob=attn_bias model=./my-checkpoint dataset=jsonl dataset.path=records.jsonl
  zsc run knob=attn_bias format=json > table.json
  zsc run -m knob=attn_bias dataset=parlor,topical_chat

  model=NAME          mini, mini_denoiser, a folder, or a name on the Hugging Face hub
  dataset=NAME        parlor, topical_chat, wow_plus_plus, wizard, wizard_hub, chitchat, jsonl, table (CSV and others),
                      hub; dataset.path, dataset.split, dataset.limit, dataset.columns.FIELD
  knob=NAME           none, attn_bias, ctx_aug, dec_mix, self_attn_bias, swap; its settings as knob.SETTING,
                      all listed by --cfg job; a list of values makes one setting of each
  knob=[NAME,NAME]    several knobs together; their settings as knob.NAME.SETTING
  other.checkpoint=X  the second model of dec_mix and swap, and other.decoder=FILE its decoder (null: its own)
  decoding=NAME       sample, greedy, beam; decoding.temperature, decoding.top_p, decoding.max_new_tokens
  seeds=[0,1,2]       one response per example and seed
  cells=DIR           where responses are stored by what decides them (default: runs/cells); what is there is not
                      generated again, whichever command asks for it
  metrics=[NAME,...]  which metrics or groups of metrics to score, see `zsc ls`; [all] for every one
  judges.KIND=MODEL   models for metrics that need one: language_model, embedder, topic_classifier,
                      sentiment_classifier, entailment; by name on the hub or folder
  bleu.tokenize=NAME  how BLEU splits words, as sacrebleu does: 13a, intl, zh, char, ja-mecab and others
                      (default: auto, 13a except for texts in scripts without spaces)
  topic=NAME          what topic metrics look for: a set of phrases or a file (default: the run's control phrases)
  output=DIR          run folder (default: runs/ and a name made from the settings)
  format=FORMAT       table, md, csv, json
  --config-dir DIR    read options of your own beside those of zsc: DIR/knob/NAME.yaml, DIR/dataset/NAME.yaml and so on
  --cfg job           print the whole composed configuration and stop
  -m                  run every combination of comma-separated values; each prints a table of its own, and one that
                      fails does not stop the others: failures are listed at the end, with exit status 2""",
    "sweep": """\
usage: zsc sweep [key=value ...] [-m]

As `zsc run`, over several values of a knob's settings. The model is loaded once, the encoder reads each example once
for all settings, and settings are decoded side by side as far as the memory allows; responses are those of separate
runs. They go to cells, one for each setting and seed: a sweep that was stopped, or that grows by a value, makes what is
missing. Several processes may work on the same sweep.

  zsc sweep knob=attn_bias 'knob.strength=[0.2,0.5,1,2,5,10,20]' 'seed=[0,1,2]'
  zsc sweep knob=attn_bias 'knob.profile=[knowledge,dialog]' 'knob.strength=[2,5,10]'
  zsc sweep knob=ctx_aug 'knob.phrases=[questions,topic_music]' 'knob.count=[1,10]'
  zsc sweep knob=dec_mix 'knob.level=[weights,probs]' 'knob.weight=[0.25,0.5,0.75,1]'
  zsc sweep -m knob=attn_bias 'knob.strength=[2,5,10]' dataset=parlor,topical_chat

Settings as in `zsc run --help`.

  together=8          settings and seeds decoded in one batch, at most
  batch_size=32       examples encoded together""",
    "plan": """\
usage: zsc plan [key=value ...]

Prints the cells of a run or sweep and their state (missing, begun, done, broken), and estimates how long the rest takes
from a few responses timed here. Generates nothing that is kept. Settings as in `zsc run --help`.

  zsc plan knob=attn_bias 'knob.strength=[0.2,0.5,1,2,5,10,20]'""",
    "table": """\
usage: zsc table NAME [key=value ...]

Makes a table of the paper from stored responses: one row per setting, with intervals, stars where the difference to the
model without knobs has p < .05 (sign-flip test, Holm's correction over the whole table), and published figures of other
models beside them where there are any. `zsc ls` lists the tables. Settings as in `zsc run --help`.

  zsc table informativeness make=true
  zsc table questions dataset=topical_chat dataset.path=DIR dataset.limit=500 make=true format=latex
  zsc table swap other.checkpoint=./second-model other.decoder=null make=true
  zsc table train_less trained=runs/less make=true

  make=true           generate what is missing; otherwise it is only named
  trained=DIR         for train_less: the trainings to compare, as scripts/train_less.sh makes them
  table.columns=[...] other metrics than the table's own
  save=DIR            write NAME.md, NAME.tex (booktabs), NAME.csv and NAME.json there
  format=FORMAT       table, md, latex, csv, json""",
    "report": """\
usage: zsc report RUN [RUN ...] [key=value ...]

Writes one self-contained HTML page, and its plots as PNG and SVG, from finished runs: dose-response curves, control
against fluency with the best trade-off marked, examples with the knob off and on and the attention that moved,
commands, signatures and versions.

  zsc report runs/attn_bias-parlor-mini-0123456789
  zsc report runs/table-* output=report control=knowledge_precision fluency=perplexity_median

  output=DIR          where the page and the plots go (default: runs/report)
  control=METRIC      what the knobs are to change (default: by knob)
  fluency=METRIC      what that must not cost (default: judge_perplexity_median where all runs have it, else
                      perplexity_corpus or perplexity_median)
  setting=NAME        whose responses are shown beside those without knobs (default: the best trade-off)
  examples=3          so many, a random sample drawn with shuffle=0
  attention=true      false: do not load the model to measure where attention moved""",
    "tune": """\
usage: zsc tune knob=NAME target=METRIC budget=COST [key=value ...]

Finds the strongest setting whose cost stays inside the budget: on one half of the examples by doubling and bisection,
confirmed on the other half.

  zsc tune knob=attn_bias target=knowledge_precision budget=distinct2:-10%
  zsc tune knob=ctx_aug target=question_rate budget=fluency:+10%

  target=METRIC       what the knob is for; its gain is reported
  budget=METRIC:+10%  how far a metric may rise (+) or fall (-), in percent of its value without the knob, or as a
                      plain number; fluency stands for judge_perplexity_median with a judge, else perplexity_corpus
  lowest, highest     strengths (or weights) to search between""",
    "score": """\
usage: zsc score RUN|FILE [key=value ...]

Scores the generations in the folder RUN again and prints the table. The model that made them is not loaded; judges are
where this command names them (those in the run's config.yaml are not: the run may be somebody else's), and what they
said is kept in RUN. Values of every response are in RUN/items.csv.

FILE is a CSV, TSV, JSON, JSON Lines or Parquet table with responses of other systems: a row for each, with the column
response, and where there are any history, knowledge, reference, topic, id, setting (the system's name), seed, nll and
tokens; columns.FIELD=NAME for other names. The first system is the one that others are compared with. A history is a
list of texts, as JSON where need be, or plain text: one turn, or with turns=lines one turn per line.

  zsc score runs/attn_bias-parlor-mini-0123456789
  zsc score RUN 'metrics=[reference,sentiment]' resampling.confidence=0.99 format=md
  zsc score RUN 'metrics=[fluency,topic]' topic=topic_music judges.embedder=all-MiniLM-L6-v2 \
      judges.language_model=gpt2
  zsc score RUN 'metrics=[informativeness]' judges.entailment=cross-encoder/nli-deberta-v3-base
  zsc score systems.csv columns.setting=model columns.history=context columns.knowledge=fact""",
    "ls": """\
usage: zsc ls [format=table|md|csv|json] [--config-dir DIR]

Lists models, datasets, knobs, decodings and metrics with a line each.

  zsc ls
  zsc ls format=json""",
    "data": """\
usage: zsc data DATASET [key=value ...]

Shows what a dataset holds: its card with licence and commands to fetch it, whether its files are the published ones,
counts, lengths in tokens of the model against the buckets of the layout, and examples as the model sees them; what a
bucket cuts off stands after a bar.

  zsc data parlor
  zsc data topical_chat dataset.path=Topical-Chat dataset.split=test_rare examples=1
  zsc data table dataset.path=mine.csv dataset.columns.history=context model=facebook/bart-base
  zsc data wow_plus_plus dataset.path=wow-plus-plus layout.knowledge_tokens=64 format=json

  examples=3          so many, a fixed random sample
  format=FORMAT       table, md (the tables), csv (the lengths), json (everything)""",
    "doctor": """\
usage: zsc doctor [key=value ...]

Checks, a line each: versions, device, memory and disk; that the model loads; that every knob changes nothing at its
neutral setting, acts at its shipped one and leaves the model as it was; that responses do not depend on their batch;
which datasets are at hand. Where something is missing, the next line says what to run. Exit status 2 if a check fails.

  zsc doctor
  zsc doctor model=facebook/bart-base model.device=cuda dataset=topical_chat
  zsc doctor format=json""",
    "annotate": """\
usage: zsc annotate RUN [key=value ...]
       zsc annotate FOLDER 'answers=[FILE,...]'

The first form draws pairs of responses, knob off and on, to the same example, in shuffled order and on random sides,
and writes them as pairs.csv and as form.html, a page that needs no network. key.json says which side is which: keep it.
The second form reads filled-in sheets back: how often the knob's response is preferred, with an interval, a sign test
and Krippendorff's alpha.

  zsc annotate runs/attn_bias-parlor-mini-0123456789 count=100
  zsc annotate RUN 'setting=attn_bias(knowledge, 10)' seed=1 'questions=[fluent,fits]' output=judging
  zsc annotate judging 'answers=[answers-ann.csv,answers-ben.csv]'

  setting=NAME        which setting to compare with off, where there are several
  seed=N              of which responses (default: the run's first)
  count=50            so many pairs
  shuffle=0           seed of the draw, the order and the sides
  questions=[...]     fluent, informative, fits
  output=DIR          where to (default: a folder in RUN)""",
    "train": """\
usage: zsc train output=DIR [key=value ...]

Trains an encoder-decoder with the Hugging Face Trainer. A run that was stopped is resumed by the same command;
the final model is DIR/model. What trains is printed first, as a table of components with their weights, and kept in
DIR/plan.json; DIR/training.json says at the end what it took: weights trained, bytes of optimiser state, seconds per
step, peak memory, and the validation loss.

  zsc train output=runs/denoise task=denoise task.text=train.txt task.heldout=heldout.txt trainer.max_steps=2000
  zsc train output=runs/long task=denoise task.checkpoint=runs/denoise/model task.segment_tokens=128 \
      task.text=train.txt task.heldout=heldout.txt
  ZSC_DATA=DIR zsc train output=runs/dialogue task=dialogue task.checkpoint=runs/long/model
  zsc train output=runs/all task=dialogue task.checkpoint=facebook/bart-base 'freeze=[]' \
      "task.train=[{loader: jsonl, path: train.jsonl}]" "task.heldout=[{loader: jsonl, path: heldout.jsonl}]"
  ZSC_DATA=DIR zsc train output=runs/less task=dialogue task.checkpoint=facebook/bart-base \
      'freeze=[encoder,embeddings,self_attention]'
  ZSC_DATA=DIR zsc train output=runs/gpt2 task=dialogue task.checkpoint=roberta-base task.language_model=gpt2 \
      'freeze=[encoder,embeddings,self_attention,feed_forward,norms]'

  task=denoise        text infilling and sentence permutation, from nothing or from task.checkpoint
  task=dialogue       fine-tuning on grounded dialogue; task.language_model=NAME: with that as the decoder, and new
                      cross-attention
  task=language_model a language model on the embeddings of task.checkpoint, which can become its decoder
  freeze=[NAME,...]   parts that do not train: embeddings (with an output projection tied to them), encoder, and the
                      decoder's self_attention, cross_attention, feed_forward, norms, output (one that is not tied)
  seed=0              of the order of the data, dropout and new weights
  precision=auto      bf16 where the hardware computes it; fp32; bf16
  trainer.FIELD=X     any field of transformers.TrainingArguments (+trainer.FIELD=X if it is not in the config)""",
    "bench": """\
usage: zsc bench [key=value ...]

Prints time(knob on) / time(knob off) of generating the same batch with the same number of steps, in one run. With
several settings, the time of a sweep relative to a run for each, from loading the model on, and to the library's own
generate() on the same batches.

  zsc bench knob=attn_bias
  zsc bench knob=attn_bias batch_size=8 repeats=21 model.device=cuda
  zsc bench knob=attn_bias 'knob.strength=[0.1,0.2,0.5,1.5,2,3,5,7,10,20]' dataset.limit=200 repeats=5

  repeats=15          pairs measured; of a sweep a fifth as many""",
}
