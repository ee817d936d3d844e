//! TLS as `project.toml` says, between two projects.

use crate::serving::Serving;
use crate::shared::servers::certificates::{Authority, Identity};
use crate::support::{Ran, Scene, Test, chmod};

/// A project with these settings.
fn project(settings: &[(&str, &str)]) -> Test<Scene> {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "7"])?.exits(0);
    for (key, value) in settings {
        scene.json(&["config", "set", key, value])?.exits(0);
    }
    Ok(scene)
}

/// Certificate, key and trust of a project.
fn identity(paths: &[String; 3]) -> [(&'static str, &str); 3] {
    let [certificate, key, trusted] = paths;
    [
        ("tls.certificate", certificate),
        ("tls.key_file", key),
        ("tls.authorities", trusted),
    ]
}

fn paths(identity: &Identity) -> [String; 3] {
    [&identity.certificate, &identity.key, &identity.trusted]
        .map(|path| path.to_string_lossy().into_owned())
}

/// What an echo from a project with these settings gives, over TLS or not.
fn echo(serving: &Serving, settings: &[(&str, &str)], tls: bool) -> Test<Ran> {
    let scene = project(settings)?;
    let port = serving.port.to_string();
    for (key, value) in [
        ("aet", "ANONYMIZER"),
        ("host", "localhost"),
        ("port", &port),
        ("tls", if tls { "true" } else { "false" }),
    ] {
        scene
            .json(&["config", "set", &format!("node.PEER.{key}"), value])?
            .exits(0);
    }
    scene.json(&["echo", "PEER"])
}

#[test]
fn who_holds_a_certificate_is_let_in() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    let of = |name: &str| paths(&authority.identity(name));
    let (server, client) = (of("server"), of("client"));
    for (mode, without_certificate) in [("server", 0), ("mutual", 5)] {
        let mut settings = vec![("scp.tls", mode)];
        settings.extend(identity(&server));
        let scene = project(&settings)?;
        let serving = Serving::start(&scene, &[])?;
        echo(&serving, &identity(&client), true)?.exits(0);
        let trust = [("tls.authorities", client[2].as_str())];
        echo(&serving, &trust, true)?.exits(without_certificate);
        // Who talks plainly, and who trusts somebody else.
        echo(&serving, &[], false)?.exits(5);
        let distrusted = authority.distrusted().to_string_lossy().into_owned();
        let ran = echo(&serving, &[("tls.authorities", &distrusted)], true)?.exits(5);
        assert!(ran.err.contains("no TLS with the server"), "{}", ran.err);
        if mode == "mutual" {
            for name in ["expired", "stranger"] {
                echo(&serving, &identity(&of(name)), true)?.exits(5);
            }
        }
        serving.stop()?.exits(143);
    }
    Ok(())
}

#[test]
fn files_that_are_missing_are_named() -> Test {
    let scene = project(&[("scp.tls", "server")])?;
    let ran = scene.json(&["serve", "--port", "0"])?.exits(3);
    assert!(
        ran.err.contains("config set tls.certificate FILE.pem"),
        "{}",
        ran.err
    );
    let scene = project(&[
        ("tls.certificate", "none.pem"),
        ("tls.key_file", "none.key"),
        ("scp.tls", "server"),
    ])?;
    let ran = scene.json(&["serve", "--port", "0"])?.exits(3);
    assert!(ran.err.contains("TLS cannot be used"), "{}", ran.err);
    Ok(())
}

#[test]
fn a_key_that_others_can_read_is_refused() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    let server = authority.identity("server");
    let mut settings = vec![("scp.tls", "server")];
    let of_server = paths(&server);
    settings.extend(identity(&of_server));
    let scene = project(&settings)?;
    let link = scene.path().join("key.link");
    std::os::unix::fs::symlink(&server.key, &link)?;
    for (mode, path) in [(0o640, &server.key), (0o604, &server.key), (0o644, &link)] {
        chmod(&server.key, mode)?;
        let path = path.to_string_lossy();
        scene
            .json(&["config", "set", "tls.key_file", &path])?
            .exits(0);
        let serve = scene.json(&["serve", "--port", "0"])?.exits(3);
        // Over TLS to any address: nothing is dialled.
        let client = project(&[("tls.authorities", &of_server[2])])?;
        for (key, value) in [
            ("tls.certificate", &*of_server[0]),
            ("tls.key_file", &path),
            ("node.PEER.aet", "PEER"),
            ("node.PEER.host", "127.0.0.1"),
            ("node.PEER.port", "1"),
            ("node.PEER.tls", "true"),
        ] {
            client.json(&["config", "set", key, value])?.exits(0);
        }
        let echo = client.json(&["echo", "PEER"])?.exits(3);
        for ran in [serve, echo] {
            assert!(ran.err.contains("run: chmod 600 '"), "{}", ran.err);
        }
    }
    // By a link whose own mode says nothing.
    chmod(&server.key, 0o400)?;
    Serving::start(&scene, &[])?.stop()?.exits(143);
    Ok(())
}
