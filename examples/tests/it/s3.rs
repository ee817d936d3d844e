//! Runs `upload_to_s3` against a real server, which checks signatures.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use crate::s3_servers::{BUCKET, S3Server};
use crate::shared::Test;

const ACCESS: &str = "ANONKEY";
const SECRET: &str = "anon-secret-key";

fn upload(directory: &Path, server: &S3Server, secret: &str) -> Test<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upload_to_s3"));
    command
        .arg(directory)
        .args([BUCKET, &server.endpoint()])
        .env("AWS_ACCESS_KEY_ID", ACCESS)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN");
    Ok(command.output()?)
}

/// Reads every file below a directory.
fn tree(root: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap_or(&path);
                files.insert(name.to_string_lossy().into_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

#[test]
fn upload_to_s3() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    for patient in ["A-1", "A-2"] {
        for (n, (_, bytes)) in anon_examples::files().into_iter().enumerate() {
            let series = directory.path().join(patient).join("1.1/1.2");
            fs::create_dir_all(&series)?;
            File::create_new(series.join(format!("1.3.{n}.dcm")))?.write_all(&bytes)?;
        }
    }
    let refused = upload(directory.path(), &server, "another secret")?;
    let errors = String::from_utf8(refused.stderr)?;
    assert!(!refused.status.success());
    assert!(
        errors.contains("the secret key does not belong to the access key"),
        "{errors}"
    );
    let files = anon_examples::files().len();
    for (sent, skipped) in [(files, 0), (0, files)] {
        let output = upload(directory.path(), &server, SECRET)?;
        let errors = String::from_utf8(output.stderr)?;
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        let printed = String::from_utf8(output.stdout)?;
        for patient in ["A-1", "A-2"] {
            let counts = format!("sent: {sent}, skipped: {skipped}, failed: 0");
            let mut lines = printed.lines();
            let has_counts = lines.any(|line| line.starts_with(patient) && line.contains(&counts));
            assert!(has_counts, "{printed}");
        }
        let uploaded = tree(&server.files().join("EXAMPLE"))?;
        assert!(
            uploaded == tree(directory.path())?,
            "the bucket differs from the directory"
        );
    }
    Ok(())
}
