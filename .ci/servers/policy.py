"""policy.py ENDPOINT BUCKET DENIED: a bucket in moto, and keys that may put everything there but DENIED.

DENIED is a pattern of names, such as `TRIAL/S-1/*`. From here on moto checks signatures and rights. Prints
NAME=VALUE lines.
"""
import json
import sys
import urllib.request

import boto3

endpoint, bucket, denied = sys.argv[1:4]
region = "eu-central-1"


def client(service):
    return boto3.client(service, endpoint_url=endpoint, region_name=region,
                        aws_access_key_id="testing", aws_secret_access_key="testing")


client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
users = client("iam")
users.create_user(UserName="trial")
arn = f"arn:aws:s3:::{bucket}"
rights = [{"Effect": "Allow", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]},
          {"Effect": "Deny", "Action": "s3:*", "Resource": f"{arn}/{denied}"}]
users.put_user_policy(UserName="trial", PolicyName="trial",
                      PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}))
key = users.create_access_key(UserName="trial")["AccessKey"]
order = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
urllib.request.urlopen(order).close()
print(f"ACCESS={key['AccessKeyId']}")
print(f"SECRET={key['SecretAccessKey']}")
