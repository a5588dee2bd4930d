#!/usr/bin/env bash
# Slurm on this one machine, to try `launcher=slurm`: packages, key, configuration and daemons, without systemd or
# cgroups. Debian, as root. Run again, it starts what does not run; a configuration that is there stays.
#   scripts/slurm_single_node.sh
set -euo pipefail
node=$(hostname -s)
config=/etc/slurm/slurm.conf

missing=$(for program in sbatch slurmctld slurmd munged; do command -v $program > /dev/null || echo $program; done)
if [ -n "$missing" ] || [ ! -e /etc/munge/munge.key ]; then
    apt-get update --quiet
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends slurm-wlm munge
fi
if [ ! -e "$config" ]; then
    cat > "$config" << END
ClusterName=single
SlurmctldHost=$node
SlurmUser=slurm
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
$(slurmd -C | head -n 1) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
fi
for folder in /var/lib/slurm/slurmctld /var/log/slurm; do install -d -o slurm -g slurm "$folder"; done
install -d /var/lib/slurm/slurmd
for folder in /run/munge /var/lib/munge /var/log/munge; do install -d -o munge -g munge -m 755 "$folder"; done

pgrep -x munged > /dev/null || setpriv --reuid=munge --regid=munge --clear-groups munged
pgrep -x slurmctld > /dev/null || slurmctld
pgrep -x slurmd > /dev/null || slurmd
for _ in $(seq 30); do
    case $(sinfo --noheader --nodes="$node" --format=%T 2> /dev/null) in idle | mixed | allocated) sinfo && exit 0 ;; esac
    sleep 1
done
echo "node $node does not come up: see /var/log/slurm/slurmctld.log and /var/log/slurm/slurmd.log" >&2
exit 1
