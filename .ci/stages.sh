# shellcheck shell=bash
# The stages of `./dev test`, in order. Each is a function stage_NAME with a line of what it is in
# stage_titles; it goes on after a failure, and the last line of all is "N passed, N failed".

stage_names=(
    build clang format tidy cppcheck luacheck structure unit unit-asan unit-tsan spec spec-asan spec-tsan
    faults history interop model sim fuzz
)
declare -A stage_titles=(
    [build]='server, tool and unit tests with gcc, as released, and hardened'
    [clang]='the same with clang'
    [format]='C sources are as clang-format leaves them'
    [tidy]='clang-tidy'
    [cppcheck]='cppcheck, warnings and portability'
    [luacheck]='Lua sources'
    [structure]='directions of includes, sizes, threads'
    [unit]='C unit tests'
    [unit-asan]='C unit tests under AddressSanitizer and UBSan'
    [unit-tsan]='C unit tests under ThreadSanitizer'
    [spec]='specs over the wire, as released'
    [spec-asan]='specs, the server with more threads under AddressSanitizer and UBSan'
    [spec-tsan]='specs of threads, the server with more of them under ThreadSanitizer'
    [faults]='crowds, kills, and no memory, descriptors, threads or room left'
    [history]='200,000 operations on a real PostgreSQL, and what was promised of them; faults that are planted'
    [interop]='MessagePack-RPC clients that were written elsewhere'
    [model]='the protocol of tokens and floors, searched by spin'
    [sim]='20,000 seeded histories of the store and the loads, and planted faults that must be found'
    [fuzz]='every fuzz target for 10 seconds'
)

# No detect_stack_use_after_return: the sandbox measures depth by the address of a local.
export ASAN_OPTIONS=detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/tsan.supp"

# What tests run under: ThreadSanitizer's memory map does not fit where addresses are randomized widely.
under=()
fix_addresses() {
    if setarch -R true 2>/dev/null; then under=(setarch -R); fi
}

# run_units BUILD [ARGUMENT_OF_CTEST...]
run_units() {
    local build=$1
    shift
    "${under[@]}" ctest --test-dir "$build" -V -j "$(nproc)" --timeout 300 "$@"
}

# run_specs BUILD [ARGUMENT_OF_BUSTED...]; paths stand in .busted.
run_specs() {
    local build=$1
    shift
    RTCACHED=$PWD/$build/rtcached RTCACHE=$PWD/$build/rtcache \
        "${under[@]}" luajit /usr/bin/busted -o plainTerminal "$@"
}

stage_build() {
    build_preset release all units
    tests/hardening/check build/rtcached build/rtcache
}
stage_clang() { build_preset clang all units sim history_workload history_check history_rules_test; }

stage_format() { list_sources '*.c' '*.h' | xargs -d '\n' clang-format --dry-run -Werror; }

stage_tidy() {
    build_preset clang embed
    .ci/tidy
}

# What it reports and is not so stands in .ci/cppcheck.txt, with reasons.
stage_cppcheck() {
    cppcheck --enable=warning,portability --suppressions-list=.ci/cppcheck.txt \
        --suppress=missingIncludeSystem --error-exitcode=1 --quiet -j "$(nproc)" \
        --std=c11 -D_GNU_SOURCE '-DRTCACHE_VERSION="0"' -Icore core
}

stage_luacheck() { luacheck -q lua scripts core tests bench; }

stage_structure() {
    tests/structure/check --self-test
    tests/structure/check
    LUA_PATH='tests/?.lua;;' luajit tests/mutants/run.lua --self-test
    LUA_PATH='lua/?.lua;tests/?.lua;;' luajit tests/history/planted.lua --self-test
}

stage_unit() {
    build_preset release units
    run_units build
}

stage_unit-asan() {
    build_preset asan units
    run_units build-asan
}

stage_unit-tsan() {
    build_preset tsan units
    fix_addresses
    # Those of one thread only have nothing to show here.
    run_units build-tsan -E '^unit/(wire|script|bind|cli)/'
}

stage_spec() {
    build_preset release
    run_specs build
}

stage_spec-asan() {
    build_preset asan
    SPEC_THREADS=2 run_specs build-asan
}

# Those in which several threads have work for one another.
thread_specs=(
    tests/spec/0[1-9]_*_spec.lua tests/spec/1[0-2]_*_spec.lua tests/spec/1[678]_*_spec.lua
    tests/spec/46_*_spec.lua tests/spec/75_*_spec.lua
)

stage_spec-tsan() {
    build_preset tsan
    fix_addresses
    SPEC_THREADS=2 SPEC_PATIENCE=60 run_specs build-tsan "${thread_specs[@]}"
}

stage_faults() {
    build_preset release rtcached rtcache rtcached_faulty
    run_specs build --run=faults
}

stage_history() {
    build_preset release rtcached rtcache history_rules_test history_workload history_check
    build/history_rules_test
    LUA_PATH='lua/?.lua;tests/?.lua;;' luajit tests/history/run.lua 200000
    LUA_PATH='lua/?.lua;tests/?.lua;;' luajit tests/history/planted.lua --scripts
}

stage_interop() {
    build_preset release
    if [ ! -d tests/interop/node/node_modules ]; then npm ci --prefix tests/interop/node; fi
    RTCACHED=$PWD/build/rtcached RTCACHE=$PWD/build/rtcache tests/interop/run
}

stage_model() { tests/model/run; }

stage_sim() {
    build_preset release sim
    build/sim --self-test
    build/sim --seeds 20000
}

stage_fuzz() { .ci/fuzz 10; }

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

total_passed=0
total_repeated=0
total_seeds=0
total_failed=0
failures=()
lines=()

run_stage() {
    local name=$1 log began=$SECONDS status=0 passed failed seeds word=ok
    log=build/logs/$name.log
    mkdir -p build/logs
    printf '\n== %s: %s\n' "$name" "${stage_titles[$name]}"
    # A process of its own: `set -e` holds in it, which it would not in a function behind `||`.
    ./dev stage "$name" >"$log" 2>&1 || status=$?
    read -r passed failed seeds < <(count_results "$log")
    if [ $status != 0 ]; then
        word=FAILED
        tail -n 40 "$log"
        failures+=("$name (log: $log)")
        if [ "$failed" = 0 ]; then failed=1; fi
    elif [ $((passed + failed)) = 0 ]; then
        passed=1
    fi
    if repeats "$name"; then
        total_repeated=$((total_repeated + passed))
    else
        total_passed=$((total_passed + passed))
    fi
    total_seeds=$((total_seeds + seeds))
    total_failed=$((total_failed + failed))
    lines+=("$(printf '%-10s %-6s %5d passed %3d failed %5d s' \
        "$name" $word "$passed" "$failed" $((SECONDS - began)))")
    echo "${lines[-1]}"
}

# stages_run [STAGE...]: all without names.
stages_run() {
    local name
    if [ "${1:-}" = list ]; then
        for name in "${stage_names[@]}"; do printf '%-10s %s\n' "$name" "${stage_titles[$name]}"; done
        return
    fi
    for name in "$@"; do
        if [ -z "${stage_titles[$name]:-}" ]; then
            echo "dev: no stage \"$name\"; there are: ${stage_names[*]}" >&2
            return 2
        fi
    done
    if [ $# = 0 ]; then set -- "${stage_names[@]}"; fi
    for name in "$@"; do run_stage "$name"; done
    printf '\n== all stages, %d s\n' "$SECONDS"
    printf '%s\n' "${lines[@]}"
    for name in "${failures[@]}"; do echo "failed: $name"; done
    printf '%d distinct tests, %d repetitions under sanitizers, %d seeds of the simulator\n' \
        "$total_passed" "$total_repeated" "$total_seeds"
    echo "$total_passed passed, $total_failed failed"
    [ "$total_failed" = 0 ] && [ ${#failures[@]} = 0 ]
}
