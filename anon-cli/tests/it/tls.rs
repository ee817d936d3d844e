//! TLS between two projects, as configured in `project.toml`.

use crate::serving::Serving;
use crate::shared::servers::certificates::{Authority, Identity};
use crate::support::{Run, Scene, Test, chmod};

/// A project with these settings.
fn project(settings: &[(&str, &str)]) -> Test<Scene> {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "7"])?.exits(0);
    for (key, value) in settings {
        scene.set(key, value)?;
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

/// Runs `echo` from a project with these settings, with or without TLS.
fn echo(serving: &Serving, settings: &[(&str, &str)], tls: bool) -> Test<Run> {
    let scene = project(settings)?;
    let port = serving.port.to_string();
    for (key, value) in [
        ("aet", "ANONYMIZER"),
        ("host", "localhost"),
        ("port", &port),
        ("tls", if tls { "true" } else { "false" }),
    ] {
        scene.set(&format!("node.PEER.{key}"), value)?;
    }
    scene.json(&["echo", "PEER"])
}

#[test]
fn tls_admits_peers_with_a_trusted_certificate() -> Test {
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
        // A client without TLS, and one that trusts another authority.
        echo(&serving, &[], false)?.exits(5);
        let distrusted = authority.distrusted().to_string_lossy().into_owned();
        let ran = echo(&serving, &[("tls.authorities", &distrusted)], true)?.exits(5);
        assert!(ran.err.contains("TLS with the server"), "{}", ran.err);
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
fn missing_tls_files_are_named() -> Test {
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
    assert!(ran.err.contains("cannot set up TLS"), "{}", ran.err);
    Ok(())
}

#[test]
fn a_tls_key_that_others_can_read_is_refused() -> Test {
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
        scene.set("tls.key_file", &path)?;
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
            client.set(key, value)?;
        }
        let echo = client.json(&["echo", "PEER"])?.exits(3);
        for ran in [serve, echo] {
            assert!(ran.err.contains("run chmod 600 '"), "{}", ran.err);
        }
    }
    // Through a link, whose own mode does not matter.
    chmod(&server.key, 0o400)?;
    Serving::start(&scene, &[])?.stop()?.exits(143);
    Ok(())
}
