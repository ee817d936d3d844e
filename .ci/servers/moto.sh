#!/usr/bin/env bash
# Runs moto: Cognito, and S3 that does not check signatures. cognito.py creates a bucket, pools and users in it.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

export AWS_EC2_METADATA_DISABLED=true
become "$VENV/bin/python" "$VENV/bin/moto_server" -H 127.0.0.1 -p "$PORT" "$@"
