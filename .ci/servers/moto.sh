#!/usr/bin/env bash
# moto: S3 without checks of signatures, and Cognito. cognito.py makes a bucket, pools and users in it.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

export AWS_EC2_METADATA_DISABLED=true
become "$VENV/bin/python" "$VENV/bin/moto_server" -H 127.0.0.1 -p "$PORT" "$@"
