#!/usr/bin/env bash
# Creates keys and certificates for one run of the tests: certificates.sh DIRECTORY. Writes NAME.key and NAME.crt (PEM):
#   ca        the authority that both sides trust           other_ca  another authority
#   server    for 127.0.0.1, ::1 and localhost              client    for a client
#   stranger  signed by other_ca                            expired   valid in January 2020 only
#   elsewhere signed by ca, for another host
set -euo pipefail
out=$(readlink -f "${1:?the directory to write}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
umask 077

key() { openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1.key" 2>/dev/null; }

authority() { # name, common name
    key "$1"
    openssl req -x509 -new -key "$1.key" -out "$1.crt" -days 30 -subj "/CN=$2" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

# `openssl ca`, because `openssl x509` accepts no start and end dates.
certificate() { # name, common name, authority, alternative names, start, end
    key "$1"
    openssl req -new -key "$1.key" -out "$1.csr" -subj "/CN=$2"
    : >index.txt
    cat >"$1.cnf" <<CONFIG
[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
subjectAltName = $4
extendedKeyUsage = serverAuth, clientAuth
keyUsage = critical, digitalSignature, keyEncipherment
basicConstraints = CA:FALSE
CONFIG
    openssl ca -batch -notext -config "$1.cnf" -cert "$3.crt" -keyfile "$3.key" -in "$1.csr" -out "$1.crt" \
        -startdate "$5" -enddate "$6" 2>"$1.log" || { cat "$1.log" >&2; return 1; }
}

here="IP:127.0.0.1, IP:::1, DNS:localhost"
start=$(date -u -d yesterday +%Y%m%d%H%M%SZ)
end=$(date -u -d 'now + 30 days' +%Y%m%d%H%M%SZ)
authority ca "Test authority"
authority other_ca "Other authority"
certificate server 127.0.0.1 ca "$here" "$start" "$end"
certificate client "Test client" ca "$here" "$start" "$end"
certificate stranger Stranger other_ca "$here" "$start" "$end"
certificate expired Expired ca "$here" 20200101000000Z 20200131000000Z
certificate elsewhere elsewhere.invalid ca "DNS:elsewhere.invalid" "$start" "$end"
mv ./*.key ca.crt other_ca.crt server.crt client.crt stranger.crt expired.crt elsewhere.crt "$out"
