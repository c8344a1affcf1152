#!/bin/sh
# Runs the tests in two parts: the quick ones side by side, then those that start and kill processes.
# usage: sh scripts/test.sh [pytest arguments, or files to run alone]
set -u
cd "$(dirname "$0")/.."

# Tests start some thousand processes, each of which would compile every module anew.
unset PYTHONDONTWRITEBYTECODE

# A test that hangs is ended with the place where every thread stood.
limits="-o faulthandler_timeout=240 -o faulthandler_exit_on_timeout=true"

if [ $# -gt 0 ] && [ -e "${1%%::*}" ]; then
    # shellcheck disable=SC2086  # a list of words on purpose
    exec .venv/bin/pytest -q $limits "$@"
fi

with_tests() {
    for folder in "$@"; do
        [ -n "$(find "$folder" -name 'test_*.py' 2>/dev/null | head -n 1)" ] && echo "$folder"
    done
}

failed=0
part() {
    options=$1
    folders=$2
    shift 2
    [ -n "$folders" ] || return 0
    # shellcheck disable=SC2086
    .venv/bin/pytest -q $limits $options $folders "$@"
    code=$?
    # 5 = nothing was selected: right when the caller selects, wrong otherwise.
    if [ $code -ne 0 ] && ! { [ $code -eq 5 ] && [ $# -gt 0 ]; }; then failed=1; fi
}

# Files in the order of tests/longest_first.py; more of them at a time than there are cores, as tests also
# wait: for children, servers and deadlines, most of all in the second part.
sides="--dist loadfile --no-loadscope-reorder"
part "-n 3 $sides" "$(with_tests tests/unit tests/contract)" "$@"
part "-n 4 $sides" "$(with_tests tests/fault tests/e2e tests/browser)" "$@"
exit $failed
