# shellcheck shell=bash
# What each verb needs from Debian 12, and how it comes onto the machine: `need VERB`.
#
# A word is a package; `a|b`: either will do; `command:package`: not needed where there is such a
# command from elsewhere (a newer node, say). Every package stands in the README with its reason.

packages_build=(
    gcc libc6-dev make cmake ninja:ninja-build pkg-config:pkgconf
    'libluajit-5.1-dev|libluajit2-5.1-dev' libev-dev libmsgpack-dev libpq-dev libsqlite3-dev
    libconfig-dev libjansson-dev libpg-query-dev libxxhash-dev libjemalloc-dev libssl-dev libsodium-dev
)
packages_lint=(clang clang-tidy clang-format cppcheck luacheck:lua-check luajit python3)
packages_fuzz=(clang libclang-rt-14-dev llvm-14)
packages_spec=(
    luajit lua-busted lua-socket lua-filesystem postgresql pgbouncer sqlite3 libnss-wrapper
    openssl lua-sec python3 python3-msgpack git
)
packages_interop=(
    neovim lua-mpack python3 python3-pynvim go:golang-go golang-github-ugorji-go-codec-dev node:nodejs npm:npm
)
packages_bench=(redis-server redis-tools memcached tarantool valgrind zstd xz:xz-utils gzip)

# Packages whose services are kept from starting, now and at the next boot.
services=(redis-server memcached tarantool pgbouncer)

packages_of() {
    printf '%s\n' "${packages_build[@]}"
    case $1 in
        test)
            printf '%s\n' "${packages_lint[@]}" "${packages_fuzz[@]}" "${packages_spec[@]}" \
                "${packages_interop[@]}" libcmocka-dev spin
            ;;
        coverage) printf '%s\n' "${packages_spec[@]}" libcmocka-dev gcovr ;;
        lint) printf '%s\n' "${packages_lint[@]}" ;;
        fuzz) printf '%s\n' "${packages_fuzz[@]}" ;;
        bench) printf '%s\n' "${packages_spec[@]}" "${packages_bench[@]}" ;;
        soak | history | chaos) printf '%s\n' "${packages_spec[@]}" ;;
    esac
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Prints the package to install for a word; nothing where it is there already.
missing_of() {
    local word=$1 name
    if [[ $word == *:* ]] && command -v "${word%%:*}" >/dev/null; then return; fi
    word=${word#*:}
    for name in ${word//|/ }; do
        if is_installed "$name"; then return; fi
    done
    echo "${word%%|*}"
}

# Empty where nothing is missing. One question to dpkg for all: it answers at once and offline.
missing_packages() {
    local word
    for word in $(packages_of "$1" | sort -u); do missing_of "$word"; done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Nothing that is installed here starts a service or makes a database cluster of its own.
quiet_policy=/usr/sbin/policy-rc.d
quiet_cluster=/etc/postgresql-common/createcluster.d/rtcache-dev.conf
made_quiet=()

keep_quiet() {
    trap end_quiet EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ ! -e $quiet_policy ]; then
        made_quiet+=("$quiet_policy")
        printf '#!/bin/sh\nexit 101\n' | as_root tee $quiet_policy >/dev/null
        as_root chmod 755 $quiet_policy
    fi
    if ! is_installed postgresql-common; then
        made_quiet+=("$quiet_cluster")
        as_root mkdir -p "${quiet_cluster%/*}"
        echo 'create_main_cluster = false' | as_root tee $quiet_cluster >/dev/null
    fi
}

end_quiet() {
    if [ ${#made_quiet[@]} -gt 0 ]; then as_root rm -f "${made_quiet[@]}"; fi
    made_quiet=()
}

install_packages() {
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "dev: packages are missing; as root: apt-get install --no-install-recommends $*" >&2
        return 1
    fi
    echo "dev: installing $*"
    keep_quiet
    as_root apt-get update -q || echo 'dev: apt-get update failed; going on with what is known' >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    end_quiet
    trap - EXIT INT TERM
    local name service
    for name in "$@"; do
        for service in "${services[@]}"; do
            if [ "$name" = "$service" ]; then as_root update-rc.d "$service" disable; fi
        done
    done
}

need() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        echo "dev: not a Debian system; install yourself: $(packages_of "$1" | xargs)" >&2
        return
    fi
    missing=$(missing_packages "$1")
    if [ -z "$missing" ]; then return; fi
    # shellcheck disable=SC2086
    install_packages $missing
}
