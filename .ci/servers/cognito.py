"""cognito.py ENDPOINT BUCKET: makes what an export as a Cognito user needs, in moto; prints NAME=VALUE lines.

Users: `tester` with a password, `newcomer` who must choose a new one, `unconfirmed`, and `disabled`.
"""
import sys

import boto3

endpoint, bucket = sys.argv[1:3]
region = "eu-central-1"
password, temporary = "Perm-Passw0rd!", "Temp-Passw0rd!"


def client(service):
    return boto3.client(service, endpoint_url=endpoint, region_name=region,
                        aws_access_key_id="testing", aws_secret_access_key="testing")


users, identities = client("cognito-idp"), client("cognito-identity")
client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})

pool = users.create_user_pool(PoolName="trial")["UserPool"]["Id"]


def app(name, flows):
    made = users.create_user_pool_client(UserPoolId=pool, ClientName=name, ExplicitAuthFlows=flows)
    return made["UserPoolClient"]["ClientId"]


app_client = app("export", ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
no_flow = app("other", ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
for name in ("tester", "newcomer", "disabled"):
    # Attributes before `sub`, which V17 took to be the first.
    users.admin_create_user(UserPoolId=pool, Username=name, TemporaryPassword=temporary, MessageAction="SUPPRESS",
                            UserAttributes=[{"Name": "email", "Value": f"{name}@example.org"},
                                            {"Name": "email_verified", "Value": "true"}])
for name in ("tester", "disabled"):
    users.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)
users.admin_disable_user(UserPoolId=pool, Username="disabled")
users.sign_up(ClientId=app_client, Username="unconfirmed", Password=password)
sub = {it["Name"]: it["Value"] for it in users.admin_get_user(UserPoolId=pool, Username="tester")["UserAttributes"]}["sub"]
provider = {"ProviderName": f"cognito-idp.{region}.amazonaws.com/{pool}", "ClientId": app_client}
identity_pool = identities.create_identity_pool(IdentityPoolName="trial", AllowUnauthenticatedIdentities=False,
                                                CognitoIdentityProviders=[provider])["IdentityPoolId"]

for name, value in dict(USER_POOL=pool, CLIENT=app_client, NO_FLOW=no_flow, IDENTITY_POOL=identity_pool, SUB=sub,
                        PASSWORD=password, TEMPORARY=temporary).items():
    print(f"{name}={value}")
