#!/usr/bin/env bash
# Runs one workload bare, under each peer and under Plimsoll, in turns, and writes one line of JSON a run:
# what the program says it took, and what the whole way took beside it. `summary.sh` makes a table of these lines.
#
#   run.sh [-n ROUNDS] [-w "WAYS"] [-o FILE.jsonl] PROGRAMS WORKLOAD [ARGUMENT…]
#
# PROGRAMS is the folder with the built programs (`with_system`, `with_dhat`, `with_plimsoll`, …) of this package.
# A way is `bare`, `heaptrack`, `heaptrack-raw` (which leaves the interpreter out) or `bytehound`, which run
# `with_system`, or PROGRAM:MODE: `plimsoll:exact` runs `with_plimsoll` in its mode `exact`.
# BYTEHOUND is the path of libbytehound.so; without it bytehound is left out, and the script says so.
set -euo pipefail

rounds=7
ways="bare heaptrack heaptrack-raw bytehound dhat:exact plimsoll:exact"
exec 3>&1
while getopts n:w:o: option; do
  case $option in
    n) rounds=$OPTARG ;;
    w) ways=$OPTARG ;;
    o) exec 3>>"$OPTARG" ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
if [ $# -lt 2 ]; then
  echo "run.sh: it needs the folder of the programs and a workload; see the head of this script" >&2
  exit 2
fi
programs=$(realpath "$1")
workload=("${@:2}")
bytehound=${BYTEHOUND:+$(realpath "$BYTEHOUND")}
if [ -z "$bytehound" ]; then
  echo "run.sh: bytehound is left out: BYTEHOUND does not name its library" >&2
  ways=${ways/bytehound/}
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Runs the workload in the current folder, with each peer's own settings.
run_way() {
  case $1 in
    bare) "$programs/with_system" "${workload[@]}" ;;
    heaptrack) heaptrack -o capture "$programs/with_system" "${workload[@]}" ;;
    heaptrack-raw) heaptrack --raw -o capture "$programs/with_system" "${workload[@]}" ;;
    bytehound)
      LD_PRELOAD=$bytehound MEMORY_PROFILER_OUTPUT=capture.dat "$programs/with_system" "${workload[@]}"
      ;;
    jemalloc:sampled)
      _RJEM_MALLOC_CONF=prof:true,lg_prof_sample:19 "$programs/with_jemalloc" "${workload[@]}" --mode sampled --keep .
      ;;
    *) "$programs/with_${1%:*}" "${workload[@]}" --mode "${1#*:}" --keep . ;;
  esac
}

# One line about the run that just ended in the folder `run`. `tree_cpu_s` is the CPU time of everything that ran,
# from the start to the end; the program's own numbers begin after its start and end before its exit.
line() {
  local capture row
  row=$(grep '^{' "$scratch/stdout" | tail -n 1)
  capture=$(find "$scratch/run" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
  # As text: jq would round a number of 64 bits.
  jq -c --arg checksum "$(grep -o '"checksum":[0-9]*' <<<"$row" | cut -d : -f 2)" \
    --arg way "$1" --argjson round "$2" --argjson capture "$capture" \
    --argjson cpu "$(awk '{ print $1 + $2 }' "$scratch/cpu")" \
    --argjson load "$(cut -d ' ' -f 1 /proc/loadavg)" \
    '{way: $way, workload, round: $round, units, checksum: $checksum, wall_ns, cpu_ns, own_ns, peak_rss_bytes, events, lost,
      tree_cpu_s: $cpu, capture_bytes: $capture, load: $load}' <<<"$row"
}

TIMEFORMAT='%U %S'
for round in $(seq "$rounds"); do
  for way in $ways; do
    mkdir "$scratch/run"
    if (cd "$scratch/run" && { time run_way "$way" >../stdout 2>../stderr; } 2>../cpu); then
      line "$way" "$round" >&3
    else
      echo "run.sh: ${workload[*]} failed under $way in round $round:" >&2
      tail -n 5 "$scratch/stderr" >&2
      exit 1
    fi
    rm -r "$scratch/run"
  done
done
