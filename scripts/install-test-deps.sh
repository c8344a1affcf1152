#!/bin/sh
# What the tests need beside .venv: a PostgreSQL server's programs, an NFS server and libnfs's tools,
# ZStack's MCP server, llama-benchy, kubectl, a browser, Node with the npm clients.
# What cannot be installed is named here; the tests that need it then fail with the same sentence.
set -eu
cd "$(dirname "$0")/.."

if ! command -v initdb >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    sh scripts/apt-install.sh "the PostgreSQL tests" postgresql || true
fi

if ! command -v ganesha.nfsd >/dev/null 2>&1 || ! command -v nfs-cat >/dev/null 2>&1; then
    sh scripts/apt-install.sh "the NFS tests" nfs-ganesha nfs-ganesha-vfs libnfs-utils || true
fi

# An environment of its own for clients whose packages do not go together with the project's.
own_environment() {
    name=$1 list=$2 what=$3
    wanted=$(sha256sum <"$list")
    [ "$(cat ".cache/$name/.installed" 2>/dev/null || true)" != "$wanted" ] || return 0
    echo "  installing $what into an environment of its own"
    .venv/bin/uv venv --quiet --clear --python .venv/bin/python ".cache/$name"
    .venv/bin/uv pip sync --quiet --python ".cache/$name/bin/python" --require-hashes "$list"
    echo "$wanted" >".cache/$name/.installed"
}

own_environment mcp tests/e2e/mcp/requirements.txt "ZStack's MCP server"
# A kubectl that is there may do; which one the tests take is told in tests/kustomize.py.
command -v kubectl >/dev/null 2>&1 && kubectl kustomize deploy/kubernetes/overlays/single >/dev/null 2>&1 ||
    own_environment kubectl tests/contract/kubectl/requirements.txt "kubectl" || true
own_environment benchy tests/e2e/benchy/requirements.txt "llama-benchy"
# Beside the other tools, as tests import it; what `make install` makes does without.
browser_tools() {
    wanted=$(.venv/bin/uv export --frozen --quiet --only-group browser | sha256sum)
    if [ "$(cat .venv/.browser 2>/dev/null || true)" = "$wanted" ] &&
        .venv/bin/python -c 'import playwright' 2>/dev/null; then
        return 0
    fi
    echo "  installing what drives a browser"
    list=$(mktemp)
    .venv/bin/uv export --frozen --quiet --only-group browser >"$list"
    .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$list"
    rm -f "$list"
    echo "$wanted" >.venv/.browser
}
browser_tools

if ! command -v chromium >/dev/null 2>&1 || ! fc-list 2>/dev/null | grep -q "Noto Sans CJK"; then
    # Without the fonts Chinese is boxes.
    sh scripts/apt-install.sh "the tests in a browser" chromium fonts-noto-cjk || true
fi

# It comes as source only; where it cannot be built its test is skipped, and says so.
own_environment oss2 tests/contract/oss2_client/requirements.txt "the vendor's older OSS SDK" || true

node=tests/contract/node
[ -f "$node/package-lock.json" ] || exit 0

node_suits() {
    command -v npm >/dev/null 2>&1 &&
        node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)' 2>/dev/null
}
node_suits || sh scripts/apt-install.sh "the tests with npm clients" nodejs npm || true
if ! node_suits; then
    echo "pierhead: the tests with npm clients need Node 18 or newer with npm; they will fail without" >&2
    exit 0
fi

wanted=$(sha256sum <"$node/package-lock.json")
if [ "$(cat "$node/node_modules/.installed" 2>/dev/null || true)" != "$wanted" ]; then
    echo "  installing the npm clients"
    (cd "$node" && npm ci --silent --no-audit --no-fund)
    echo "$wanted" >"$node/node_modules/.installed"
fi
