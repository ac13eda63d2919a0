#!/usr/bin/env bash
# A table from the lines of `run.sh`: what each way adds to an event over the bare run of the same round, as the median
# over the rounds and the range. An event is one allocation or one free; a pair is two.
#
#   summary.sh FILE.jsonl…
#
# wall: on the wall; own: CPU time of the thread that works; process: CPU time of the process, threads of the profiler
# included; tree: the same with what runs beside it and with start and exit. How many events there are is known from the
# capture of `plimsoll:exact` where that ran, else two a unit.
set -euo pipefail

jq -rs '
  def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
  def tenths: . * 10 | round / 10;
  def range: "\(median | tenths) (\(min | tenths)…\(max | tenths))";
  (["workload", "units", "way", "rounds", "wall ns", "own ns", "process ns", "tree ns", "bytes/event", "× bare, wall"]
    | @tsv),
  (group_by([.workload, .units])[]
    | (map(select(.way == "bare") | {key: "\(.round)", value: .}) | from_entries) as $bare
    | if (map(.checksum) | unique | length) != 1 then error("\(.[0].workload): not all did the same work") else . end
    | ((map(select(.way == "plimsoll:exact") | .events) | max) // (.[0].units * 2)) as $events
    | group_by(.way)[] | select(.[0].way != "bare")
    | map(. as $run | $bare["\(.round)"] as $base | {
        wall: (($run.wall_ns - $base.wall_ns) / $events),
        own: (($run.own_ns - $base.own_ns) / $events),
        process: (($run.cpu_ns - $base.cpu_ns) / $events),
        tree: (($run.tree_cpu_s - $base.tree_cpu_s) * 1e9 / $events),
        bytes: ($run.capture_bytes / $events),
        times: ($run.wall_ns / $base.wall_ns)}) as $added
    | [.[0].workload, .[0].units, .[0].way, length, ($added | map(.wall) | range), ($added | map(.own) | range),
       ($added | map(.process) | range), ($added | map(.tree) | median | tenths),
       ($added | map(.bytes) | median * 100 | round / 100), ($added | map(.times) | median | tenths)]
    | @tsv)
' "$@" | column -t -s $'\t'
