//! Names of objects, and listings of more than a page.

use std::fs;
use std::thread;

use anon_export::s3::S3Sink;
use anon_export::{ObjectKey, Sink as _};

use crate::servers::S3Server;
use crate::setup::{ACCESS_KEY, SECRET_KEY, bytes, config, list, put};
use crate::shared::Test;

const PREFIXES: [&str; 7] = [
    "",
    "plain",
    "a space",
    "a+plus",
    "100%25",
    "%",
    "Prüfung/日本 ~!*'()&=;@",
];

fn comes_back(server: &S3Server, check: impl Fn(&str, &str, &[u8]) -> Test) -> Test {
    for prefix in PREFIXES {
        for project in ["P", "a b+c%20ü"] {
            let mut config = anon_export::s3::S3Config::new(crate::servers::BUCKET, project)
                .with_endpoint(server.endpoint())
                .with_credentials(crate::setup::keys(ACCESS_KEY, SECRET_KEY));
            config = config.with_prefix(prefix);
            let sink = S3Sink::open(config)?;
            let key = ObjectKey::new(["S 1", "1.1", "1.2", "1.3"])?;
            let longer = ObjectKey::new(["S 10", "1.1", "1.2", "1.3"])?;
            let object = bytes(99, 0);
            put(&sink, &key, &object)?;
            put(&sink, &longer, &object)?;
            let listed = list(&sink, "S 1")?;
            let keys: Vec<_> = listed.iter().map(|it| &it.key).collect();
            assert_eq!(keys, [&key], "listed under {prefix:?} and {project:?}");
            check(prefix, project, &object)?;
        }
    }
    Ok(())
}

#[test]
fn odd_names_come_back_from_rclone() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    comes_back(&server, |prefix, project, object| {
        let directory = server.files().join(prefix).join(project);
        let there = fs::read(directory.join("S 1/1.1/1.2/1.3.dcm"))?;
        assert!(there == object, "{prefix:?} {project:?}");
        Ok(())
    })
}

#[test]
fn odd_names_come_back_from_moto() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    comes_back(&server, |_, _, _| Ok(()))
}

/// 2,001 objects are three pages; what the sink did not put is passed over.
fn pages(server: &S3Server) -> Test {
    const OBJECTS: u32 = 2001;
    let sink = S3Sink::open(config(&server.endpoint()))?;
    let of = |n: u32| ObjectKey::new(["S-1", "1.1", "1.2", &format!("1.3.{n}")]);
    // rclone fails now and then when two objects make one directory at once.
    put(&sink, &of(0)?, &0_u32.to_le_bytes())?;
    thread::scope(|scope| -> Test {
        let threads = (1..=8).map(|first| {
            let (sink, of) = (&sink, &of);
            scope.spawn(move || {
                for n in (first..OBJECTS).step_by(8) {
                    let put = put(sink, &of(n).expect("a key"), &n.to_le_bytes());
                    put.expect("it is put");
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")?;
        }
        Ok(())
    })?;
    let mut wanted = (0..OBJECTS).map(of).collect::<Result<Vec<_>, _>>()?;
    wanted.sort();
    let listed = list(&sink, "S-1")?;
    let keys: Vec<_> = listed.into_iter().map(|it| it.key).collect();
    assert!(
        keys == wanted,
        "{} keys of {OBJECTS} are listed",
        keys.len()
    );
    let mut calls = 0;
    sink.list(&"S-1".parse()?, &mut |_| {
        calls += 1;
        if calls < 1500 {
            std::ops::ControlFlow::Continue(())
        } else {
            std::ops::ControlFlow::Break(())
        }
    })?;
    assert_eq!(calls, 1500, "broken off on the second page");
    Ok(())
}

#[test]
fn pages_of_rclone() -> Test {
    match S3Server::rclone(ACCESS_KEY, SECRET_KEY)? {
        Some(server) => pages(&server),
        None => Ok(()),
    }
}

#[test]
fn pages_of_moto() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    pages(&server)
}
