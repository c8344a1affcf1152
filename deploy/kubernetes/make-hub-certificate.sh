#!/bin/sh
# Makes an authority and with it a certificate for hubs, for those who have no cert-manager; needs openssl alone.
# usage: sh deploy/kubernetes/make-hub-certificate.sh FOLDER [NAME or address ...]
#     -> FOLDER/{ca.key,ca.crt} (kept when they are there), FOLDER/{tls.key,tls.crt} (made anew: 825 days)
# Without names: those by which gateways call up to three hubs in the namespace pierhead.
set -eu
umask 077
folder=${1:?usage: make-hub-certificate.sh FOLDER [NAME ...]}
shift
[ $# -gt 0 ] || set -- pierhead-hub pierhead-hub.pierhead pierhead-hub.pierhead.svc \
    pierhead-hub-0.pierhead-hub-peers pierhead-hub-1.pierhead-hub-peers pierhead-hub-2.pierhead-hub-peers
names=""
for name in "$@"; do
    case $name in
        *:*) kind=IP ;;
        *[!0-9.]*) kind=DNS ;;
        *) kind=IP ;;
    esac
    names="$names${names:+,}$kind:$name"
done

mkdir -p "$folder"
work=$(mktemp -d "$folder/.making.XXXXXX")
trap 'rm -rf "$work"' EXIT
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

if [ -e "$folder/ca.crt" ]; then
    echo "$folder/ca.crt is there"
else
    key "$work/ca.key"
    openssl req -x509 -new -sha256 -days 3650 -key "$work/ca.key" -out "$work/ca.crt" -subj "/CN=pierhead hubs" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign"
    mv "$work/ca.key" "$work/ca.crt" "$folder/"
fi
cat >"$work/extensions" <<END
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $names
END
key "$work/tls.key"
openssl req -new -sha256 -key "$work/tls.key" -subj "/CN=pierhead hub" -out "$work/request"
openssl x509 -req -in "$work/request" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAserial "$work/serial" -CAcreateserial \
    -sha256 -days 825 -extfile "$work/extensions" -out "$work/tls.crt" 2>/dev/null
mv "$work/tls.key" "$work/tls.crt" "$folder/"
echo "$folder/tls.crt is for $names"
