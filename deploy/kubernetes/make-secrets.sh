#!/bin/sh
# Makes the Secrets that the overlays refer to, from fresh random values; what is there already stays.
# usage: sh deploy/kubernetes/make-secrets.sh [NAMESPACE]     needs kubectl, prints no secret
set -eu
umask 077
namespace=${1:-pierhead}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

letters() { LC_ALL=C tr -dc "$1" </dev/urandom | head -c "$2"; }
there() { kubectl --namespace "$namespace" get secret "$1" >/dev/null 2>&1; }

kubectl get namespace "$namespace" >/dev/null 2>&1 || kubectl create namespace "$namespace"

# Between gateways and hubs; all of them have it.
if there pierhead-gateway-keys; then
    echo "pierhead-gateway-keys is there"
else
    head -c 32 /dev/urandom >"$folder/internal.key"
    letters 0-9a-f 48 >"$folder/metrics.token"
    kubectl --namespace "$namespace" create secret generic pierhead-gateway-keys \
        --from-file="$folder/internal.key" --from-file="$folder/metrics.token"
fi

# Of the hubs alone: the account, what engines' keys are made from, what opens secrets in the database.
if there pierhead-hub-keys; then
    echo "pierhead-hub-keys is there"
else
    head -c 32 /dev/urandom >"$folder/engine.key"
    head -c 32 /dev/urandom >"$folder/storage.key"
    cat >"$folder/credentials.json" <<JSON
{
  "account_id": "1$(letters 0-9 15)",
  "access_key_id": "LTAI5t$(letters A-Za-z0-9 18)",
  "access_key_secret": "$(letters A-Za-z0-9 30)",
  "zstack": {"account": "admin", "password": "$(letters A-Za-z0-9 20)"}
}
JSON
    kubectl --namespace "$namespace" create secret generic pierhead-hub-keys \
        --from-file="$folder/engine.key" --from-file="$folder/storage.key" \
        --from-file="$folder/credentials.json"
fi
