#!/bin/sh
# Unpacks what a real node needs from Debian 12's packages; a tool for tests, nothing of it ships.
# usage: sh scripts/cluster/kubelets_fetch.sh FOLDER     -> FOLDER/node/{bin,cni,base.tar}
#
# Nothing is installed and no service started: containerd, runc and the network plug-ins are unpacked into
# FOLDER/node/bin and FOLDER/node/cni. base.tar is a root file system with Python, as of the base of our image.
set -eu
here=$(dirname "$(realpath "$0")")
folder=$(realpath -m "${1:?usage: kubelets_fetch.sh FOLDER}")
node="$folder/node"
[ -e "$node/.whole" ] && exit 0
mkdir -p "$node"
exec 9>"$node/.lock"
flock 9
[ -e "$node/.whole" ] && exit 0
rm -rf "$node/debs" "$node/tree" "$node/bin" "$node/cni"
mkdir -p "$node/debs" "$node/tree" "$node/bin" "$node/cni"

echo "  packages of a node"
cd "$node/debs"
packages="containerd runc containernetworking-plugins mmdebstrap"
# shellcheck disable=SC2086  # a list of words on purpose
apt-get -qq -o APT::Sandbox::User=root download $packages 2>"$node/apt.log" ||
    { apt-get -qq update && apt-get -qq -o APT::Sandbox::User=root download $packages; } ||
    { echo "pierhead: a node is made of Debian 12's packages ($packages); this machine cannot have them" >&2; exit 1; }
for package in *.deb; do dpkg -x "$package" "$node/tree"; done
cp "$node"/tree/usr/bin/* "$node/bin/"
cp "$node"/tree/usr/lib/cni/* "$node/cni/"

echo "  root file system with Python"
include=$(sed -n 's/^PACKAGES = (\(.*\))$/\1/p' "$here/../build_image.py" | tr -d '" ')
PATH="$node/bin:$PATH" perl "$node/bin/mmdebstrap" --quiet --variant=essential "--include=$include" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    bookworm "$node/base.tar"
rm -rf "$node/debs" "$node/tree" "$node/apt.log"
touch "$node/.whole"
