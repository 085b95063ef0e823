#!/bin/bash
# Trains twice on a one-node Slurm: undisturbed, and preempted twice by another job; both runs must be equal, bit by bit. Then two
# tasks of a step train together.
#
#     apt-get install -y slurm-wlm munge
#     benchmarks/slurm.sh [FOLDER [STEPS]]    # as root, with kerasgan on the PATH; a new folder, enough steps for a minute
#
# The job script is the one of docs/slurm.md. The daemons that this starts are ended at the end. A job that is requeued waits for
# two minutes, as Slurm has it.
set -euo pipefail
root=$(realpath "$(dirname "$0")/..")
folder=$(realpath -m "${1:-/tmp/kerasgan-slurm}")
mkdir -p "$folder/state" "$folder/spool" /run/munge
export SLURM_CONF=$folder/slurm.conf

cat > "$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$(hostname)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=5,bf_interval=5
NodeName=$(hostname) CPUs=$(nproc) State=UNKNOWN
PartitionName=low Nodes=$(hostname) Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=5 MaxTime=INFINITE State=UP
PartitionName=high Nodes=$(hostname) PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP
CONF

chown munge: /run/munge
runuser -u munge -- /usr/sbin/munged 2> /dev/null || munge -n > /dev/null  # it may run already
/usr/sbin/slurmctld
/usr/sbin/slurmd
trap 'kill $(cat "$folder/slurmd.pid" "$folder/slurmctld.pid")' EXIT
until sinfo --noheader --states=idle 2> /dev/null | grep --quiet idle; do sleep 1; done

awk '/^```bash$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$root/docs/slurm.md" > "$folder/job.sh"
PYTHONPATH=$root/tests python - "$folder/data" <<'PYTHON'
import sys
from pathlib import Path
from tiny import write_heads
write_heads(Path(sys.argv[1]))
PYTHON
settings=()
while read -r setting; do settings+=(--set "$setting"); done <<'SETTINGS'
data.size=32
data.minimum_body_fraction=0.01
generator.filters=4
generator.blocks=1
discriminator.filters=4
discriminator.downsamplings=1
pool_size=4
precision=float32
schedule.report_every=20
schedule.checkpoint_every=100
schedule.preview_every=300
SETTINGS
settings+=(--set "schedule.steps=${2:-6000}")
newest() { find "$folder/runs" -path "*/$1/checkpoints/step-*.npz" | sort | tail -1; }
ended() { ! squeue --noheader --jobs "$1" 2> /dev/null | grep --quiet .; }
submit() {
    sbatch --parsable --partition=low --chdir="$folder" --output="$folder/$1.log" "$folder/job.sh" "runs/$1" \
        --dataset synthrad --data-dir "$folder/data" --recipe hiasa2018 "${settings[@]}"
}

job=$(submit whole)
until ended "$job"; do sleep 1; done
job=$(submit disturbed)
for number in 1 2; do
    before=$(newest disturbed)
    until [ "$(newest disturbed)" != "$before" ]; do sleep 0.2; done  # it trains
    sleep 2
    began=$(date +%s.%N)
    sbatch --wait --quiet --partition=high --chdir="$folder" --output=/dev/null --wrap="date +%s.%N > preemptor"
    echo "Preemption $number: the other job began after $(echo "$(cat "$folder/preemptor") - $began" | bc) s;" \
        "$(basename "$(newest disturbed)" .npz) is stored."
done
until ended "$job"; do sleep 1; done
[ "$(grep --text --count "^Stopped" "$folder/disturbed.log")" = 2 ] || { echo "It ended too soon: give more STEPS."; exit 1; }
python - "$folder/runs" <<'PYTHON'
import sys
from pathlib import Path
import numpy as np
whole, disturbed = (sorted((Path(sys.argv[1]) / name / "checkpoints").glob("*.npz"))[-1] for name in ("whole", "disturbed"))
assert whole.name == disturbed.name, f"The runs ended at {whole.stem} and {disturbed.stem}."
with np.load(whole) as wanted, np.load(disturbed) as found:
    different = [name for name in wanted.files if not np.array_equal(wanted[name], found[name])]
for name in ("history.csv", "validation.csv"):
    if (whole.parents[1] / name).read_text() != (disturbed.parents[1] / name).read_text():
        different.append(name)
print(f"{whole.stem}: {'equal, bit by bit' if not different else 'different: ' + ', '.join(different)}")
sys.exit(bool(different))
PYTHON

sbatch --wait --quiet --ntasks=2 --chdir="$folder" --output="$folder/together.log" --wrap="srun --label kerasgan train --out \
    runs/together --dataset synthrad --data-dir $folder/data --recipe hiasa2018 ${settings[*]} --set schedule.steps=300 \
    --set data.batch_size=2" || { cat "$folder/together.log"; exit 1; }
grep --text --only-matching "Training in .*" "$folder/together.log"
echo "Two tasks together: $(basename "$(newest together)" .npz)"
