#!/usr/bin/env bash
# Receiving and sending over DICOM beside DCMTK, in one run, on a RAM disk. Needs DCMTK (apt install dcmtk) and
# /proc. Nothing else should run meanwhile.
#   benches/network.sh                            the sizes of the promises: 2,000 slices, 3 rounds, an object of 2 GB
#   benches/network.sh --slices 200 --rounds 2    quickly; --large-frames 400: the large object in frames of 512 KiB
#   benches/network.sh receive|send|memory        a part of it
# Files go below ANON_BENCH_DIR (default /dev/shm; about 2.5 GB, 6 GB with the large object) and are removed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for tool in storescp storescu; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done
export ANON_BENCH_DIR="${ANON_BENCH_DIR:-/dev/shm}"
# DCMTK waits 40 ms for an acknowledgement in each message under Nagle's algorithm.
export TCP_NODELAY=1
cargo build --locked --quiet --profile bench -p anon-cli -p anon-benches --bins
exec "${CARGO_TARGET_DIR:-target}/release/network" "$@"
