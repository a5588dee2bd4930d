#!/usr/bin/env bash
# Pass a sweep through `launcher=slurm`, kill one of its jobs at work, and compare each cell with that of a serial run,
# byte by byte: scripts/slurm_check.sh OUT [key=value ...]
#
# Needs Slurm, such as scripts/slurm_single_node.sh sets up, and the extra slurm. OUT is a new folder that the nodes see;
# the options are those of `zsc sweep`, launcher.partition=NAME and its like among them.
set -euo pipefail
case ${1:-} in
  ""|-*|*=*) echo "usage: scripts/slurm_check.sh OUT [key=value ...]" >&2; exit 2 ;;
esac
out=$1
mkdir "$out"
sweep=(zsc sweep knob=attn_bias 'knob.strength=[2,5]' 'seeds=[0,1]' dataset.limit=60 resampling.resamples=1000)
plain=()
for word in "${@:2}"; do [[ $word == launcher.* ]] || plain+=("$word"); done
workers=3

say() { echo "== $*" >&2; }
left() { squeue --noheader --job "$job" --states=all --format=%T 2> /dev/null | grep -cE 'PENDING|RUNNING|COMPLETING' || true; }

say "a serial run"
"${sweep[@]}" "${plain[@]}" cells="$out/serial" output="$out/run" > "$out/serial.txt"

say "$workers jobs"
"${sweep[@]}" cells="$out/slurm" launcher=slurm workers=$workers launcher.cpus=1 launcher.logs="$out/logs" "${@:2}" \
    2>&1 | tee "$out/launched.txt" >&2
job=$(sed -n 's/.*Slurm job \([0-9]*\);.*/\1/p' "$out/launched.txt")
until [ -n "$(find "$out/slurm" -path '*/shards/*.part' -size +0 2> /dev/null)" ]; do
    [ "$(left)" -gt 0 ] || { echo "no job made anything: see $out/logs" >&2; exit 1; }
    sleep 0.2
done
victim=$(squeue --noheader --job "$job" --states=RUNNING --array --format=%i | head -n 1)
[ -n "$victim" ] || { echo "the work was done before a job could be killed: take more, such as dataset.limit=240" >&2; exit 1; }
scancel --signal=KILL --full "$victim"
say "killed $victim"
while [ "$(left)" -gt 0 ]; do sleep 1; done

say "the rest, and the table"
"${sweep[@]}" "${plain[@]}" cells="$out/slurm" output="$out/run" > "$out/slurm.txt"
diff --recursive --exclude='.*' "$out/serial" "$out/slurm"
diff "$out/serial.txt" "$out/slurm.txt"
say "$(find "$out/serial" -name items.jsonl | wc -l) cells and the table are the same, byte by byte"
