//! The chain of a Cognito user: moto for Cognito, rclone as the S3 that checks its keys.
