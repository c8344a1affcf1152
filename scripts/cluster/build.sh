#!/bin/sh
# Builds the real Kubernetes 1.20.2 servers from Debian 12's source package; a tool for tests, nothing of it ships.
# usage: sh scripts/cluster/build.sh FOLDER     -> FOLDER/bin/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,pause,etcd}
#
# Needs Debian 12 (amd64) with apt, 2.5 GB of disk while it runs and 5 minutes of two idle cores. The machine's own
# apt settings are only read; toolchain and etcd are unpacked into FOLDER, not installed. What is there already is kept.
set -eu
here=$(dirname "$(realpath "$0")")
# The upstream tarball that the servers are made of; the name of the cache folder holds its beginning.
digest=b83c0780efb182d928dc63d46488a847f161f04e40a94b96bf5247dd671ecdfc
version=1.20.5+really1.20.2-1.1+deb12u1

folder=$(realpath -m "${1:?usage: build.sh FOLDER}")
if [ "$(cat "$folder/bin/.source" 2>/dev/null || true)" = "$digest" ]; then
    echo "  built already: $folder/bin"
    exit 0
fi
mkdir -p "$folder/apt/lists/partial" "$folder/src" "$folder/go" "$folder/home" "$folder/bin"
exec 9>"$folder/.lock"
flock 9 # two builds at once would tread on each other's tree

missing=""
for tool in jq rsync make gcc openssl; do command -v $tool >/dev/null 2>&1 || missing="$missing $tool"; done
# shellcheck disable=SC2086  # a list of words on purpose
[ -z "$missing" ] || sh "$here/../apt-install.sh" "the test cluster" $missing

unpack() {
    apt-get -qq download "$@"
    for package in *.deb; do dpkg -x "$package" .; done
    rm -f -- *.deb
}

echo "  sources of Kubernetes 1.20.2"
# A source list of its own, for the mirror that the machine uses; apt checks the signatures as ever.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Release: bookworm' 'Component: main' | head -n 1)
if [ -z "$mirror" ]; then
    echo "pierhead: the test cluster is built from Debian 12's sources; this machine has no mirror of bookworm" >&2
    exit 1
fi
echo "deb-src $mirror bookworm main" >"$folder/apt/sources.list"
options="-o Dir::Etc::sourcelist=$folder/apt/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$folder/apt/lists -o APT::Sandbox::User=root"
cd "$folder/src"
if ! ls kubernetes_*.orig.tar.gz >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    apt-get $options -qq update
    # shellcheck disable=SC2086
    apt-get $options -qq source --download-only "kubernetes=$version"
fi
echo "$digest  $(ls kubernetes_*.orig.tar.gz)" | sha256sum -c --quiet -

echo "  toolchain and etcd"
cd "$folder/go"
[ -d usr/lib/go-1.19 ] || unpack golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev
[ -x usr/bin/etcd ] || unpack etcd-server
export GOROOT="$folder/go/usr/lib/go-1.19" GOPATH="$folder/gopath" GOCACHE="$folder/gocache" HOME="$folder/home"
export GOPROXY=off GOFLAGS="" CGO_ENABLED=0 PATH="$folder/go/usr/lib/go-1.19/bin:$PATH"
[ -e "$GOROOT/src" ] || ln -s ../../share/go-1.19/src "$GOROOT/src"

cd "$folder"
rm -rf tree
mkdir tree
tar -xzf "$(ls src/kubernetes_*.orig.tar.gz)" -C tree --strip-components=1
# The one patch: the reflect2 1.0.1 in there is older than Go 1.18. Debian's 1.0.2 takes its place.
vendored=tree/vendor/github.com/modern-go/reflect2
rm -f "$vendored"/*.go "$vendored"/*.s
cp go/usr/share/gocode/src/github.com/modern-go/reflect2/*.go go/usr/share/gocode/src/github.com/modern-go/reflect2/*.s "$vendored/"

echo "  servers (minutes)"
cat >version <<'END'
KUBE_GIT_COMMIT='debian'
KUBE_GIT_TREE_STATE='clean'
KUBE_GIT_VERSION='v1.20.2'
KUBE_GIT_MAJOR='1'
KUBE_GIT_MINOR='20'
END
export KUBE_GIT_VERSION_FILE="$folder/version"
(cd tree && nice -n 10 make WHAT="cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet") >build.log 2>&1 || {
    tail -n 20 build.log >&2
    echo "pierhead: the build of Kubernetes failed; all of it: $folder/build.log" >&2
    exit 1
}
cp tree/_output/local/bin/linux/amd64/kube* go/usr/bin/etcd bin/
gcc -Os -static -DVERSION=3.2 -o bin/pause tree/build/pause/linux/pause.c
chmod -R u+w gopath 2>/dev/null || true # Go keeps its modules read-only
rm -rf tree gocache gopath go src home apt
echo $digest >bin/.source
