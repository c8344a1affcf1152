#!/bin/sh
# Installs Debian packages when we may; otherwise says in one sentence which ones are missing.
# usage: sh scripts/apt-install.sh "what for" PACKAGE...
set -eu
purpose=$1
shift

if ! command -v apt-get >/dev/null 2>&1; then
    echo "pierhead: $purpose needs these packages (Debian's names), please install them: $*" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "pierhead: $purpose needs packages that only root can install; please run: sudo apt-get install -y $*" >&2
    exit 1
fi

echo "  installing $* ($purpose)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    # shellcheck disable=SC2086  # empty, or two words on purpose
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1
}
# A bare machine has no package lists yet, and old lists name files that are gone: then update once.
if ! apt install --no-install-recommends "$@"; then
    if ! { apt update && apt install --no-install-recommends "$@"; }; then
        tail -n 20 "$log" >&2
        echo "pierhead: apt-get could not install $*; its last words are above." >&2
        exit 1
    fi
fi
