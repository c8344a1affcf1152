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

step "ruff check" .venv/bin/ruff check .
step "ruff format" .venv/bin/ruff format --check .
step "basedpyright" .venv/bin/basedpyright
step "import-linter" .venv/bin/lint-imports
step "reference pages" .venv/bin/python scripts/generate_docs.py --check
step "change fragments" .venv/bin/python scripts/check_changes.py
step "dependencies" .venv/bin/python scripts/check_dependencies.py
step "words" .venv/bin/python scripts/check_words.py

if [ -n "$failed" ]; then
    echo "check: failed: ${failed#, } (make fix mends format, simple lint and the reference pages)"
    exit 1
fi
echo "check: all passed"
