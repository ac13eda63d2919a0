#!/usr/bin/env bash
# The workload `leaks` under heaptrack, dhat and Plimsoll (exact): what each report says of the three known leaks.
# Keeps the reports in FOLDER and prints which of the leaking functions each one names.
#
#   leaks.sh PROGRAMS PLIMSOLL FOLDER
#
# PROGRAMS is the folder with the built programs of this package, PLIMSOLL the viewer's binary.
set -euo pipefail

if [ $# -ne 3 ]; then
  echo "leaks.sh: it needs the folder of the programs, the viewer, and a folder for the reports" >&2
  exit 2
fi
programs=$(realpath "$1")
plimsoll=$(realpath "$2")
reports=$(realpath "$3")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# Reports name the program by its name alone and a crate by its name and version, wherever they lie.
keep() {
  sed "s|$programs/||g; s|[^ ]*/registry/src/[^/]*/||g" >"$reports/$1"
}

heaptrack -o heaptrack "$programs/with_system" leaks >/dev/null 2>&1
heaptrack_print --print-leaks=1 --print-peaks=0 --print-allocators=0 --print-temporary=0 heaptrack.zst |
  keep leaks-heaptrack.txt

"$programs/with_dhat" leaks --mode exact --keep . >/dev/null 2>&1
jq -r '.ftbl as $names | .pps | sort_by(-.eb)[:4][]
  | "\(.eb) bytes in \(.ebk) blocks live at the end", (.fs[] | "    " + $names[.])' exact-0/dhat-heap.json |
  keep leaks-dhat.txt

"$programs/with_plimsoll" leaks --mode exact --keep . >/dev/null
"$plimsoll" leaks exact-0/run.plim | keep leaks-plimsoll.txt
"$plimsoll" leaks exact-0/run.plim --json |
  jq -r '.sites[] | "\(.live_bytes.value) bytes in \(.live_allocations.value) blocks: \(.frames[0].function)"' |
  keep leaks-plimsoll-bytes.txt

for report in heaptrack dhat plimsoll; do
  for leak in leak_documents leak_sessions leak_names; do
    echo "$report $leak: $(grep -c "$leak" "$reports/leaks-$report.txt" || true) lines name it"
  done
done
