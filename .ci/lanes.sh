# shellcheck shell=bash
# Runs stages: one after the other, or side by side in lanes where .ci/stages.sh says that they do not
# disturb each other. Each goes on after a failure; the last line of all is "N passed, N failed".

# Adds up what cmocka, busted and our own checks say they counted: "PASSED FAILED SEEDS".
count_results() {
    awk '
        match($0, /PASSED  \] [0-9]+ test/) { split(substr($0, RSTART), w, " "); passed += w[3] }
        match($0, /FAILED  \] [0-9]+ test/) { split(substr($0, RSTART), w, " "); failed += w[3] }
        /^[0-9]+ success(es)? \/ [0-9]+ failures? \/ [0-9]+ errors?/ { passed += $1; failed += $4 + $7 }
        /^PASS / { passed++ }
        /^FAIL / { failed++ }
        /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
        /^[0-9]+ seeds passed, [0-9]+ failed$/ { seeds += $1; failed += $4 }
        END { print passed + 0, failed + 0, seeds + 0 }' "$1"
}

# Whether a stage runs again, under a sanitizer, tests that another one has counted.
repeats() { [[ $1 == *-asan || $1 == *-tsan ]]; }

# Runs one stage, prints its block when it has ended, and leaves what came of it in logs/NAME.result:
# "STATUS PASSED FAILED SEEDS SECONDS".
run_stage() {
    local name=$1 log=build/logs/$1.log began=$SECONDS status=0 passed failed seeds
    # A process of its own: `set -e` holds in it, which it would not in a function behind `||`.
    ./dev stage "$name" >"$log" 2>&1 </dev/null || status=$?
    read -r passed failed seeds < <(count_results "$log")
    if [ $status != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
    if [ $((passed + failed)) = 0 ]; then passed=1; fi
    echo "$status $passed $failed $seeds $((SECONDS - began))" >"build/logs/$name.result"
    {
        flock 9
        printf '\n== %s: %s\n' "$name" "${stage_titles[$name]}"
        if [ $status != 0 ]; then tail -n 40 "$log"; fi
        result_line "$name"
    } 9>build/logs/print.lock
}

result_line() {
    local status passed failed seeds seconds word=ok
    read -r status passed failed seeds seconds <"build/logs/$1.result"
    if [ "$status" != 0 ]; then word=FAILED; fi
    printf '%-10s %-6s %5d passed %3d failed %5d s\n' "$1" $word "$passed" "$failed" "$seconds"
}

lane_pids=()

stop_lanes() {
    local pid
    for pid in "${lane_pids[@]}"; do kill -INT -- "-$pid" 2>/dev/null || true; done
    for pid in "${lane_pids[@]}"; do
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            kill -0 -- "-$pid" 2>/dev/null || break
            sleep 0.2
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
    done
    lane_pids=()
}

# run_group LANE:STAGE...: the lanes side by side, the stages of each one after the other. Each lane is a
# group of processes, which ends as a whole.
run_group() {
    local word lane name pid
    local -A queues=()
    for word in "$@"; do queues[${word%%:*}]+=" ${word#*:}"; done
    if [ ${#queues[@]} -gt 1 ]; then
        export STAGE_JOBS=$((($(nproc) + ${#queues[@]} - 1) / ${#queues[@]}))
    fi
    set -m
    for lane in "${!queues[@]}"; do
        (
            # What is checked at leisure gives way to what a clock is kept for.
            if [ "$lane" = checks ] && [ ${#queues[@]} -gt 1 ]; then renice -n 10 "$BASHPID" >/dev/null; fi
            for name in ${queues[$lane]}; do run_stage "$name"; done
        ) &
        lane_pids+=($!)
    done
    set +m
    for pid in "${lane_pids[@]}"; do wait "$pid" || true; done
    lane_pids=()
    unset STAGE_JOBS
}

# Stages that follow each other and are in lanes are one group; one without a lane is a group of its own.
run_all() {
    local serial=$1 name lane group=()
    shift
    for name in "$@"; do
        lane=${stage_lanes[$name]:-}
        if [ -n "$lane" ] && [ -z "$serial" ]; then
            group+=("$lane:$name")
            continue
        fi
        if [ ${#group[@]} -gt 0 ]; then run_group "${group[@]}" && group=(); fi
        run_group "alone:$name"
    done
    if [ ${#group[@]} -gt 0 ]; then run_group "${group[@]}"; fi
}

# stages_sum STAGE...: what came of them; false where one failed.
stages_sum() {
    local name status passed failed seeds seconds
    local total_passed=0 total_repeated=0 total_seeds=0 total_failed=0 failures=()
    printf '\n== all stages, %d s\n' "$SECONDS"
    for name in "$@"; do
        if ! [ -e "build/logs/$name.result" ]; then
            echo "127 0 1 0 0" >"build/logs/$name.result"
        fi
        result_line "$name"
        read -r status passed failed seeds seconds <"build/logs/$name.result"
        if [ "$status" != 0 ]; then failures+=("$name (log: build/logs/$name.log)"); fi
        if repeats "$name"; then
            total_repeated=$((total_repeated + passed))
        else
            total_passed=$((total_passed + passed))
        fi
        total_seeds=$((total_seeds + seeds))
        total_failed=$((total_failed + failed))
    done
    for name in "${failures[@]}"; do echo "failed: $name"; done
    printf '%d distinct tests, %d repetitions under sanitizers, %d seeds of the simulator\n' \
        "$total_passed" "$total_repeated" "$total_seeds"
    echo "$total_passed passed, $total_failed failed"
    [ "$total_failed" = 0 ] && [ ${#failures[@]} = 0 ]
}

# stages_run [--serial] [STAGE...]: all without names.
stages_run() {
    local name serial=
    if [ "${1:-}" = list ]; then
        for name in "${stage_names[@]}"; do
            printf '%-10s %-7s %s\n' "$name" "${stage_lanes[$name]:-}" "${stage_titles[$name]}"
        done
        return
    fi
    if [ "${1:-}" = --serial ]; then serial=yes && shift; fi
    for name in "$@"; do
        if [ -z "${stage_titles[$name]:-}" ]; then
            echo "dev: no stage \"$name\"; there are: ${stage_names[*]}" >&2
            return 2
        fi
    done
    if [ $# = 0 ]; then set -- "${stage_names[@]}"; fi
    mkdir -p build/logs
    for name in "$@"; do rm -f "build/logs/$name.result"; done
    trap stop_lanes EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    run_all "$serial" "$@"
    trap - EXIT INT TERM
    stages_sum "$@"
}
