#!/usr/bin/env bash
# A table from the lines of `run.sh`: for each workload and way the median, over the rounds, of the nanoseconds and
# the CPU nanoseconds added to an event over the bare run of the same round, with their range.
#
#   summary.sh FILE.jsonl…
set -euo pipefail

jq -rs '
  def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
  def cpu: (.user_s + .system_s) * 1e9;
  def r1: . * 10 | round / 10;
  (["workload", "way", "rounds", "events", "wall ns added", "lowest", "highest", "CPU ns added", "helper CPU ns",
    "bytes/event", "times bare"] | @tsv),
  (group_by(.workload)[]
    | (map(select(.way == "bare")) | map({key: (.round | tostring), value: .}) | from_entries) as $bare
    | group_by(.way)[] | select(.[0].way != "bare")
    | map(. as $run | $bare[.round | tostring] | {
        wall: (($run.ns_total - .ns_total) / $run.events),
        cpu: ((($run | cpu) - cpu) / $run.events),
        helper: ($run.helper_cpu_s * 1e9 / $run.events),
        bytes: ($run.capture_bytes / $run.events),
        ratio: ($run.ns_total / .ns_total)}) as $added
    | [.[0].workload, .[0].way, ($added | length), .[0].events, ($added | map(.wall) | median, min, max | r1),
       ($added | map(.cpu) | median | r1), ($added | map(.helper) | median | r1),
       ($added | map(.bytes) | median * 100 | round / 100), ($added | map(.ratio) | median | r1)] | @tsv)
' "$@" | column -t -s $'\t'
