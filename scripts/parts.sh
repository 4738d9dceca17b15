# Sourced by scripts/dev and scripts/test: fetches the parts that the tests and `dev` run against, once,
# and says what it does. Nothing is fetched that is there already.
# shellcheck shell=bash

cache="${XDG_CACHE_HOME:-$HOME/.cache}/countersign"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
clients="$PWD/tests/clients"
console="$PWD/tests/console"

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

stop() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

# need PROGRAM ADVICE: stops unless the program is there.
need() { command -v "$1" >/dev/null || stop "\`$1\` is missing: $2"; }

# apt PACKAGE..: installs Debian packages, as root or through sudo.
apt() {
    need apt-get "install $* by hand, then run this again"
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    say "installing $* with apt-get"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" >&2
}

rust_is_there() {
    need cargo "see https://rustup.rs; rust-toolchain.toml then picks the version"
    command -v cc >/dev/null || apt gcc libc6-dev
}

# npm's wrapper script of anvil exits 0 whatever happens: the native binary is what we run.
native() {
    local tool=$1 folder
    for folder in "$clients"/node_modules/@foundry-rs/"$tool"-*/bin; do
        [ -x "$folder/$tool" ] && printf '%s\n' "$folder/$tool" && return
    done
    return 1
}

platform() {
    local system machine
    system=$(uname -s | tr '[:upper:]' '[:lower:]')
    machine=$(uname -m)
    case "$machine" in
        x86_64 | amd64) machine=amd64 ;;
        aarch64 | arm64) machine=arm64 ;;
        *) stop "foundry has no binary for $machine" ;;
    esac
    printf '%s-%s\n' "$system" "$machine"
}

# foundry's version, of whatever platform package.json names.
version_of() { sed -n "s|.*\"@foundry-rs/$1-[a-z0-9-]*\": \"\\([0-9.]*\\)\".*|\\1|p" "$clients/package.json" | head -n1; }

# packages_are_there FOLDER WHAT: the packages of a folder, at the versions of its package-lock.json; again only when that
# file changed.
packages_are_there() {
    local folder=$1 lock stamp="$1/node_modules/.countersign-lock"
    lock=$(cksum <"$folder/package-lock.json")
    [ "$(cat "$stamp" 2>/dev/null)" = "$lock" ] && return
    say "installing $2 with npm"
    (cd "$folder" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) >&2
    printf '%s\n' "$lock" >"$stamp"
}

# The clients and the node.
npm_parts_are_there() {
    need npm "install Node.js 20 or newer"
    packages_are_there "$clients" "viem, ethers, anvil, cast, forge and solc"
    native_is_there anvil
    native_is_there cast
    native_is_there forge
}

# The lock file pins foundry for Linux on amd64, where our machines run; another platform's binary of the
# same version is fetched beside it.
native_is_there() {
    local tool=$1 package
    native "$tool" >/dev/null && return
    package="@foundry-rs/$tool-$(platform)@$(version_of "$tool")"
    say "installing $package with npm"
    (cd "$clients" && npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error "$package") >&2
    native "$tool" >/dev/null || stop "$package has no native binary"
}

# The browser that the console is tested in, and what drives it: the distribution's own, not a download of playwright's.
browser_is_there() {
    packages_are_there "$console" "playwright-core and axe-core"
    [ -n "${COUNTERSIGN_CHROMIUM:-}" ] || command -v chromium >/dev/null || apt chromium fonts-dejavu-core
}

redis_is_there() { command -v redis-server >/dev/null || apt redis-server; }

# web3.py in an environment of its own, outside the checkout, named after what it holds.
web3py_is_there() {
    local wanted folder
    need python3 "install Python 3.9 or newer"
    wanted=$(cksum <"$clients/requirements.txt" | cut -d' ' -f1)
    folder="$cache/web3py-$wanted"
    export COUNTERSIGN_PYTHON="$folder/bin/python"
    [ -e "$folder/complete" ] && return
    say "installing web3.py with pip into $folder"
    rm -rf "$folder"
    mkdir -p "$cache"
    if ! python3 -m venv "$folder" >/dev/null 2>&1; then
        apt python3-venv
        rm -rf "$folder"
        python3 -m venv "$folder"
    fi
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$clients/requirements.txt" >&2
    touch "$folder/complete"
}
