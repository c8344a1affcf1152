#!/bin/sh
# Makes .venv with the project and its tools, from a machine that has Python >= 3.11 and little else.
# Quick when nothing changed: a stamp in .venv remembers what it was made from, one beside the
# console's pages what those were built from, and a note beside the compiled gateway what that was.
# PIERHEAD_SKIP_WEB=1 leaves the console unbuilt, PIERHEAD_COMPILE=0 the gateway uncompiled.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9

digest() {
    # The folder counts too: scripts in a virtual environment hold absolute paths.
    { cat pyproject.toml uv.lock scripts/install.sh && pwd; } | sha256sum | cut -d' ' -f1
}

finish() {
    .venv/bin/python scripts/build_console.py
    .venv/bin/python scripts/compile_gateway.py
}

stamp=.venv/.installed
wanted=$(digest)
if [ -x .venv/bin/pierhead ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
    echo "pierhead: .venv is up to date"
    finish
    exit
fi

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "pierhead: Python 3.11 or newer is needed and was not found; install it, or name one: make install PYTHON=/path/to/python3" >&2
    return 1
}

make_venv() {
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        sh scripts/apt-install.sh "python$version -m venv" "python$version-venv"
    fi
    echo "  making .venv with $python ($version)"
    "$python" -m venv --clear .venv
}

sync() {
    unset VIRTUAL_ENV || true
    export UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv
    # The console has a step of its own, which may fail where there is no network.
    export PIERHEAD_SKIP_WEB=1
    # uv does not read pip's settings; whoever named an index for pip means it for this too.
    index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-}}}
    if [ -z "$index" ]; then
        .venv/bin/uv sync --frozen --quiet
        return
    fi
    # The lock names files by their address on the public index. With an index of one's own the
    # same versions come from there instead, still checked against the lock's digests.
    echo "  packages come from the index that your settings name"
    export UV_DEFAULT_INDEX="$index"
    requirements=$(mktemp)
    trap 'rm -f "$requirements"' EXIT
    .venv/bin/uv export --frozen --quiet --no-emit-project >"$requirements"
    .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$requirements"
    .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps -e .
}

began=$(date +%s)
echo "pierhead: installing into .venv"
.venv/bin/python -c 'import pip' 2>/dev/null || make_venv
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    echo "  installing uv $UV_VERSION"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
fi
echo "  installing the locked packages (about 790 MB on disk with the tools and the embedded engine)"
(sync)
echo "$wanted" >"$stamp"
finish
echo "pierhead: installed in $(($(date +%s) - began)) s; next: make demo"
