# shellcheck shell=bash
# Building, and the lists of sources that checks go over.

if command -v ccache >/dev/null; then export CMAKE_C_COMPILER_LAUNCHER=ccache; fi

build_folder() {
    case $1 in
        release) echo build ;;
        *) echo "build-$1" ;;
    esac
}

# build_preset PRESET [TARGET...]: silent configuration, then ninja; `all` without targets. Of those who
# want the same preset one builds, and the others wait.
build_preset() (
    local preset=$1 folder
    shift
    folder=$(build_folder "$preset")
    mkdir -p "$folder/logs"
    exec 8>"$folder/logs/build.lock"
    flock 8
    if ! cmake --preset "$preset" >"$folder/logs/configure.log" 2>&1; then
        cat "$folder/logs/configure.log"
        return 1
    fi
    cmake --build "$folder" --parallel "${STAGE_JOBS:-$(nproc)}" --target "${@:-all}" 8>&-
)

# list_sources PATTERN...: files of the project by name, also those not committed yet, one a line.
list_sources() {
    local patterns=() pattern
    for pattern in "$@"; do patterns+=(-o -name "$pattern"); done
    find core bench tests lua scripts -name node_modules -prune -o \
        -type f \( "${patterns[@]:1}" \) -print | sort
}
