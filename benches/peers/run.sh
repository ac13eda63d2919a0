#!/usr/bin/env bash
# Runs one workload bare, under each peer and under Plimsoll, in turns, and writes one line of JSON a run:
# what it cost. `summary.sh` makes a table of these lines.
#
#   run.sh [-n ROUNDS] [-w "WAYS"] [-o FILE.jsonl] PROGRAMS WORKLOAD [ARGUMENT…]
#
# PROGRAMS is the folder with the built programs `with_system`, `with_dhat`, `with_plimsoll`; each runs WORKLOAD and
# prints, as its last line, JSON with `ns_total` and `events`. BYTEHOUND is the path of libbytehound.so.
set -euo pipefail

rounds=7
ways="bare heaptrack bytehound dhat plimsoll-sampled plimsoll-exact"
out=/dev/stdout
while getopts n:w:o: option; do
  case $option in
    n) rounds=$OPTARG ;;
    w) ways=$OPTARG ;;
    o) out=$OPTARG ;;
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

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Runs a program in an empty folder. Its output goes to `stdout`, its user and system seconds to `cpu`: those of this
# one process, not of what reads its events beside it.
timed() {
  local TIMEFORMAT='%U %S'
  { time "$@" >"$scratch/stdout" 2>"$scratch/stderr"; } 2>"$scratch/cpu"
}

# What the command `heaptrack` does, step by step, so that the program's CPU time can be told from that of the
# interpreter, which works beside it. The environment is heaptrack's own.
under_heaptrack() {
  local lib
  lib=$(dirname "$(realpath "$(command -v heaptrack)")")/../lib/heaptrack
  local TIMEFORMAT='%U %S'
  mkfifo pipe
  { time { "$lib/libexec/heaptrack_interpret" <pipe 2>/dev/null | zstd -q -c >capture.zst; } } 2>"$scratch/helper" &
  timed env LD_PRELOAD="$lib/libheaptrack_preload.so" DUMP_HEAPTRACK_OUTPUT="$PWD/pipe" "$@"
  wait
  rm pipe
}

run_way() {
  case $1 in
    bare) timed "$programs/with_system" "${workload[@]}" ;;
    heaptrack) under_heaptrack "$programs/with_system" "${workload[@]}" ;;
    bytehound)
      timed env LD_PRELOAD="$bytehound" MEMORY_PROFILER_OUTPUT=capture.dat \
        "$programs/with_system" "${workload[@]}"
      ;;
    dhat) timed "$programs/with_dhat" "${workload[@]}" ;;
    plimsoll-*)
      timed env PLIMSOLL_OUTPUT=capture.plim PLIMSOLL_MODE="${1#plimsoll-}" \
        "$programs/with_plimsoll" "${workload[@]}"
      ;;
    *)
      echo "run.sh: unknown way \`$1\`; use bare, heaptrack, bytehound, dhat, plimsoll-sampled, plimsoll-exact" >&2
      exit 2
      ;;
  esac
}

# One line of JSON about the run that just ended in the folder `run`.
line() {
  local user system helper_user helper_system
  read -r user system <"$scratch/cpu"
  read -r helper_user helper_system <"$scratch/helper"
  tail -n 1 "$scratch/stdout" | jq -c \
    --arg way "$1" --arg workload "${workload[*]}" --argjson round "$2" \
    --argjson user "$user" --argjson system "$system" \
    --argjson helper "$(echo "$helper_user $helper_system" | awk '{ print $1 + $2 }')" \
    --argjson capture "$(find "$scratch/run" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')" \
    --argjson load "$(cut -d ' ' -f 1 /proc/loadavg)" \
    '{way: $way, workload: $workload, round: $round, ns_total, events, user_s: $user, system_s: $system,
      helper_cpu_s: $helper, capture_bytes: $capture, load: $load}'
}

bytehound=${BYTEHOUND:+$(realpath "$BYTEHOUND")}
for round in $(seq "$rounds"); do
  for way in $ways; do
    if [ "$way" = bytehound ] && [ -z "$bytehound" ]; then
      echo "run.sh: bytehound is left out: BYTEHOUND does not name its library" >&2
      continue
    fi
    mkdir "$scratch/run"
    echo '0 0' >"$scratch/helper"
    if (cd "$scratch/run" && run_way "$way"); then
      line "$way" "$round" >>"$out"
    else
      echo "run.sh: ${workload[*]} failed under $way in round $round:" >&2
      tail -n 5 "$scratch/stderr" >&2
      exit 1
    fi
    rm -r "$scratch/run"
  done
done
