#!/usr/bin/env bash
# Records 100 million events (churn, 50 million pairs) with heaptrack and with Plimsoll in exact mode, then reads both
# captures with `heaptrack_print` and `plimsoll report` in turns. Writes one line of JSON a step.
#
#   hundred_million.sh [-n ROUNDS] [-p PAIRS] [-o FILE.jsonl] [-k FOLDER] PROGRAMS PLIMSOLL
#
# PROGRAMS is the folder with the built programs of this package, PLIMSOLL the viewer's binary. The captures (0.2 and
# 0.6 GB) and the reports are made in FOLDER and stay there; without it, in a folder that is removed.
set -euo pipefail

rounds=3
pairs=50000000
folder=
exec 3>&1
while getopts n:p:o:k: option; do
  case $option in
    n) rounds=$OPTARG ;;
    p) pairs=$OPTARG ;;
    o) exec 3>>"$OPTARG" ;;
    k) folder=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
if [ $# -ne 2 ]; then
  echo "hundred_million.sh: it needs the folder of the programs and the viewer; see the head of this script" >&2
  exit 2
fi
programs=$(realpath "$1")
plimsoll=$(realpath "$2")
if [ -z "$folder" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi
cd "$folder"

# step NAME TOOL CAPTURE COMMAND…: runs it and writes what it took; `peak_rss_kib` is that of its largest process.
step() {
  local name=$1 tool=$2 capture=$3 seconds user system peak
  shift 3
  /usr/bin/time -o took -f '%e %U %S %M' "$@" >"$tool-$name.txt" 2>"$tool-$name.err"
  read -r seconds user system peak <took
  jq -cn --arg step "$name" --arg tool "$tool" --argjson pairs "$pairs" \
    --argjson seconds "$seconds" --argjson user "$user" --argjson system "$system" --argjson peak "$peak" \
    --argjson bytes "$(stat -c %s "$capture")" --argjson load "$(cut -d ' ' -f 1 /proc/loadavg)" \
    '{step: $step, tool: $tool, events: ($pairs * 2), seconds: $seconds, user_s: $user, system_s: $system,
      peak_rss_kib: $peak, capture_bytes: $bytes, events_per_s: ($pairs * 2 / $seconds | floor), load: $load}' >&3
}

step record heaptrack heaptrack.zst heaptrack -o heaptrack "$programs/with_system" churn --units "$pairs"
step record plimsoll exact-0/run.plim "$programs/with_plimsoll" churn --units "$pairs" --mode exact --keep .
for _ in $(seq "$rounds"); do
  step read heaptrack heaptrack.zst heaptrack_print heaptrack.zst
  step read plimsoll exact-0/run.plim "$plimsoll" report exact-0/run.plim
done
