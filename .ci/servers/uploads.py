"""uploads.py ENDPOINT BUCKET KEY SECRET: prints the key of each upload in parts that was begun and not ended."""
import sys

import boto3

endpoint, bucket, key, secret = sys.argv[1:5]
client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1",
                      aws_access_key_id=key, aws_secret_access_key=secret)
for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
    print(upload["Key"])
