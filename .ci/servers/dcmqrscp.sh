#!/usr/bin/env bash
# Runs DCMTK's dcmqrscp as a PACS, on every interface. Arguments: more options of dcmqrscp, such as +xs.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
AE="${AE:-QRSCP}"

# Each group of the host table has one node. The last group has all nodes.
hosts() {
    local node n=0 all=""
    for node in $KNOWN; do
        n=$((n + 1))
        echo "node$n = (${node%=*}, 127.0.0.1, ${node#*=})"
        all="$all${all:+, }node$n"
    done
    [ -z "$all" ] || echo "known = $all"
}

mkdir -p "$STATE/db"
cat >"$STATE/dcmqrscp.cfg" <<CONFIG
NetworkTCPPort  = $PORT
MaxPDUSize      = 16384
MaxAssociations = 16

HostTable BEGIN
$(hosts)
HostTable END

VendorTable BEGIN
VendorTable END

AETable BEGIN
$AE $STATE/db RW (500, 1024mb) ANY
AETable END
CONFIG
become dcmqrscp -c "$STATE/dcmqrscp.cfg" "$@"
