# shellcheck shell=bash
# Runs one suite, and reads out of what it printed how many tests passed, failed and were skipped. Sourced; tests/counting.rs tests it.

# run_suite KIND SECONDS COMMAND...: runs the suite $name with its output in $LOGS; sets passed, failed, skipped and note.
# KIND says how it counts: `once` is one test, its exit status; `libtest` as Rust's harness; `counted` by its own closing line.
run_suite() {
    local kind=$1 seconds=$2 log=$LOGS/$name.log status
    shift 2
    passed=0 failed=0 skipped=0 note=
    if ! command -v "$1" >/dev/null; then
        skipped=1 note="skipped: $1 does not exist"
        return
    fi
    timeout -k 10 "$seconds" "$@" 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    case $kind in
    once) [ "$status" = 0 ] && passed=1 ;;
    libtest) read -r passed failed skipped < <(count_libtest "$log") ;;
    counted) read -r passed failed skipped < <(count_closing "$log") ;;
    esac
    if [ "$status" != 0 ] && [ "$failed" = 0 ]; then
        failed=1 note="ended with status $status"
    elif [ $((passed + failed + skipped)) = 0 ]; then
        failed=1 note="counted nothing"
    fi
}

# The counts print three numbers. Rust's harness: one `test result:` line for each binary.
count_libtest() {
    awk '/^test result:/ { for (i = 1; i < NF; i++) n[$(i + 1)] += $i }
         END { print n["passed;"] + 0, n["failed;"] + 0, n["ignored;"] + 0 }' "$1"
}

# A suite of our own: its last line `N passed, N failed, N skipped`, with or without the suite's name before it.
count_closing() {
    awk '/^([a-z-]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ { line = $0; sub(/^[a-z-]+: /, "", line); split(line, word, " ") }
         END { print word[1] + 0, word[3] + 0, word[5] + 0 }' "$1"
}
