#!/usr/bin/env bash
# Compares receiving and sending over DICOM with DCMTK, on a RAM disk. Needs DCMTK (apt install dcmtk) and
# /proc. Nothing else should run at the same time.
#   benches/network.sh                            the full sizes: 2,000 slices, 3 rounds, an object of 2 GB
#   benches/network.sh --slices 200 --rounds 2    a quick run; --large-frames 400: frames of 512 KiB in the large object
#   benches/network.sh receive|send|memory        one part
# Files are written to ANON_BENCH_DIR (default /dev/shm; about 2.5 GB, 6 GB with the large object) and removed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for tool in storescp storescu; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done
export ANON_BENCH_DIR="${ANON_BENCH_DIR:-/dev/shm}"
# With Nagle's algorithm, DCMTK waits 40 ms for an acknowledgement in each message.
export TCP_NODELAY=1
cargo build --locked --quiet --profile bench -p anon-cli -p anon-benches --bins
exec "${CARGO_TARGET_DIR:-target}/release/network" "$@"
