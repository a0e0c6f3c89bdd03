#!/bin/sh
# Runs every fuzz target for FUZZ_SECONDS in turn (default 60), or those named as arguments, and fails on a finding. The targets are those
# of this folder or, with FUZZ_CRATE=tests/fuzz, of another crate of the project.
#
# libFuzzer with coverage, on a stable toolchain: instrumentation is switched on through the compiler's own options.
# There is no address sanitizer in it, since the crates forbid unsafe code. What was learnt is kept in
# target/fuzz/corpus, findings go to target/fuzz/findings.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$root/${FUZZ_CRATE:-core/sip/fuzz}"
seconds=${FUZZ_SECONDS:-60}
work=$root/target/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
targets=${*:-$(cd fuzz_targets && ls -- *.rs | sed 's/\.rs$//')}

command -v "${CXX:-c++}" >/dev/null || { echo "fuzzing needs a C++ compiler (Debian: apt-get install g++)" >&2; exit 1; }
export CARGO_TARGET_DIR="$work"
export RUSTFLAGS="-C passes=sancov-module -C codegen-units=1 --cfg fuzzing \
  -C llvm-args=-sanitizer-coverage-level=4 -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
  -C llvm-args=-sanitizer-coverage-pc-table -C llvm-args=-sanitizer-coverage-trace-compares"
# With a target named, build scripts and macros are not instrumented.
${CARGO:-cargo} build --locked --bins --target "$host"

failed=
for target in $targets; do
  seeds=seeds/$target
  case $target in
    message | dialog) seeds="$root/tests/conformance/torture/rfc4475 $root/tests/conformance/torture/rfc5118" ;;
  esac
  case $target in pidf | xml | watcherinfo | dialog_info | forms | data_model) dictionary=xml.dict ;; *) dictionary=sip.dict ;; esac
  # A story of many requests takes long, and a server with three workers much memory.
  case $target in server) bounds="-timeout=60 -rss_limit_mb=2048 -max_len=2048" ;; *) bounds="-timeout=10 -rss_limit_mb=1024 -max_len=8192" ;; esac
  [ -d "${seeds%% *}" ] || seeds=
  mkdir -p "$work/corpus/$target" "$work/findings"
  log=$work/$target.log
  # shellcheck disable=SC2086 # several folders of seeds
  if "$work/$host/debug/$target" -max_total_time="$seconds" $bounds \
    -dict="$root/core/sip/fuzz/$dictionary" -artifact_prefix="$work/findings/$target-" "$work/corpus/$target" $seeds >"$log" 2>&1; then
    printf '%-11s nothing found: %s\n' "$target" "$(sed -n 's/^Done \(.*\)/\1/p' "$log")"
  else
    printf '%-11s FOUND: see %s and %s\n' "$target" "$log" "$work/findings"
    grep -a -m 3 -e 'panicked at' -e 'ERROR:' -e 'Test unit written' -A 2 "$log" | sed 's/^/  /'
    failed=1
  fi
done
[ -z "$failed" ]
