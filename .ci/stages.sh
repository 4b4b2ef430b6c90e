# shellcheck shell=bash
# The stages of `./dev test`, in order. Each is a function stage_NAME with a line of what it is in
# stage_titles; .ci/lanes.sh runs them.

stage_names=(
    build clang unit unit-asan unit-tsan
    format luacheck structure cppcheck model sim tidy fuzz spec spec-asan interop
    spec-tsan chaos faults history
)
# Those that follow each other here run side by side: the stages of a lane one after the other, beside
# the other lane's. One that uses all processors, measures, or is sensitive to load has no lane: it
# runs alone.
declare -A stage_lanes=(
    [format]=checks [luacheck]=checks [structure]=checks [cppcheck]=checks [model]=checks
    [sim]=checks [tidy]=checks [fuzz]=checks
    [spec]=specs [spec-asan]=specs [interop]=specs
)
declare -A stage_titles=(
    [build]='server, tool and unit tests with gcc, as released, and hardened'
    [clang]='the same with clang'
    [format]='C sources are as clang-format leaves them'
    [tidy]='clang-tidy'
    [cppcheck]='cppcheck, warnings and portability'
    [luacheck]='Lua sources'
    [structure]='directions of includes and of calls, sizes, threads'
    [unit]='C unit tests'
    [unit-asan]='C unit tests under AddressSanitizer and UBSan'
    [unit-tsan]='C unit tests under ThreadSanitizer'
    [spec]='specs over the wire, as released'
    [spec-asan]='specs, the server with more threads under AddressSanitizer and UBSan'
    [spec-tsan]='specs of threads, the server with more of them under ThreadSanitizer'
    [chaos]='clients, reloads, restarts and spoiled bytes by chance, 40 seconds under each sanitizer'
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

# What it reports and is not so stands in .ci/cppcheck.txt, with reasons. Always with two jobs: with one it
# follows calls from file to file too, and takes a struct that is filled field by field for unset.
stage_cppcheck() {
    cppcheck --enable=warning,portability --suppressions-list=.ci/cppcheck.txt \
        --suppress=missingIncludeSystem --error-exitcode=1 --quiet -j 2 \
        --std=c11 -D_GNU_SOURCE '-DRTCACHE_VERSION="0"' -Icore core
}

stage_luacheck() { luacheck -q lua scripts core tests bench; }

stage_structure() {
    build_preset release all floors
    tests/structure/check --self-test
    tests/structure/check
    LUA_PATH='tests/?.lua;;' luajit tests/mutants/run.lua --self-test
    LUA_PATH='tests/?.lua;;' luajit tests/mutants/random_test.lua
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
    build_preset release all rtcached_line
    run_specs build
}

stage_spec-asan() {
    build_preset asan all rtcached_line
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

# run_chaos SANITIZER MINUTES SEED
run_chaos() {
    fix_addresses
    RTCACHED=$PWD/build-$1/rtcached RTCACHE=$PWD/build-$1/rtcache LUA_PATH='lua/?.lua;tests/?.lua;;' \
        "${under[@]}" luajit tests/chaos/run.lua "$2" "$3"
}

stage_chaos() {
    local sanitizer
    for sanitizer in asan tsan; do
        build_preset "$sanitizer" rtcached rtcache
        run_chaos "$sanitizer" 0.7 1
    done
}

stage_faults() {
    build_preset release rtcached rtcache rtcached_faulty
    run_specs build --run=faults
}

stage_history() {
    build_preset release rtcached rtcache history_rules_test history_workload history_check
    build/history_rules_test
    LUA_PATH='lua/?.lua;tests/?.lua;;' luajit tests/history/run.lua 200000
    LUA_PATH='lua/?.lua;tests/?.lua;;' luajit tests/history/restarts.lua 20000
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
