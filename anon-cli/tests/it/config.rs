//! `anon config`.

use std::fs;

use serde_json::json;

use crate::support::{Scene, Test, finish};

fn made() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.run(&["init", "project", "--site-id", "5"])?.exits(0);
    Ok(scene)
}

#[test]
fn config_add_and_remove_change_lists_by_name_or_uid() -> Test {
    let scene = made()?;
    let value = |args: &[&str]| -> Test<serde_json::Value> {
        Ok(scene.json(args)?.exits(0).summary()?["value"].clone())
    };
    for _ in 0..2 {
        let added = value(&["config", "add", "modalities", "us", "XA"])?;
        assert_eq!(added, json!(["CR", "DX", "CT", "MR", "US", "XA"]));
    }
    for _ in 0..2 {
        let removed = value(&["config", "remove", "modalities", "CR,DX"])?;
        assert_eq!(removed, json!(["CT", "MR", "US", "XA"]));
    }
    let class = "1.2.840.10008.5.1.4.1.1.66.4";
    for name in [class, "SegmentationStorage", "Segmentation Storage"] {
        assert_eq!(
            value(&["config", "add", "storage_classes", name])?,
            json!([class])
        );
    }
    let ran = scene.json(&["config", "add", "modalities", "XX"])?.exits(3);
    assert!(ran.err.contains("an unknown modality, XX;"), "{}", ran.err);
    scene.json(&["config", "add", "name", "X"])?.exits(3);
    Ok(())
}

#[test]
fn config_set_refuses_unknown_keys_and_bad_values() -> Test {
    let scene = made()?;
    let ran = scene
        .run(&["-p", "project", "config", "set", "scp.prot", "1"])?
        .exits(3);
    assert!(ran.err.contains("did you mean scp.port?"), "{}", ran.err);
    let before = fs::read(scene.project().join("project.toml"))?;
    for (key, value) in [
        ("scp.port", "70000"),
        ("scp.port", "many"),
        ("durability", "maximal"),
        ("s3.password", "x"),
        ("profile", "basic+nothing"),
        ("script", "nowhere.script"),
    ] {
        scene.json(&["config", "set", key, value])?.exits(3);
    }
    assert_eq!(fs::read(scene.project().join("project.toml"))?, before);
    Ok(())
}

#[test]
fn config_set_keeps_comments_in_the_file() -> Test {
    let scene = made()?;
    let file = scene.project().join("project.toml");
    let text = format!("# of ward 7\n{}", fs::read_to_string(&file)?);
    scene.write("project/project.toml", text.as_bytes())?;
    scene.set("durability", "relaxed")?;
    let expected = text.replace("durability = \"full\"", "durability = \"relaxed\"");
    assert_eq!(fs::read_to_string(&file)?, expected);
    Ok(())
}

#[test]
fn config_set_creates_a_node_key_by_key() -> Test {
    let scene = made()?;
    for (key, value) in [
        ("aet", "PACS"),
        ("host", "10.0.0.7"),
        ("port", "104"),
        ("use", "export"),
    ] {
        scene.set(&format!("node.A.{key}"), value)?;
    }
    let got = scene
        .json(&["config", "get", "node.A.host"])?
        .exits(0)
        .summary()?;
    assert_eq!(got["value"], "10.0.0.7");
    let all = scene.run(&["-p", "project", "config", "get"])?.exits(0);
    assert!(all.out.contains("node.A.use = export\n"), "{}", all.out);
    Ok(())
}

#[test]
fn config_unset_restores_defaults_and_removes_nodes() -> Test {
    let scene = made()?;
    let file = scene.project().join("project.toml");
    let value = |key: &str| -> Test<serde_json::Value> {
        let got = scene.json(&["config", "get", key])?.exits(0);
        Ok(got.summary()?["value"].clone())
    };
    for (key, other) in [
        ("scp.port", "104"),
        ("modalities", "CT"),
        ("durability", "relaxed"),
        ("timeouts.tcp", "7"),
    ] {
        let default = value(key)?;
        scene.set(key, other)?;
        assert_ne!(value(key)?, default, "{key}");
        let unset = scene.json(&["config", "unset", key])?.exits(0).summary()?;
        assert_eq!((&unset["value"], value(key)?), (&default, default.clone()));
    }
    scene.set("node.A.host", "10.0.0.7")?;
    scene.json(&["config", "unset", "node.A"])?.exits(0);
    scene.json(&["config", "get", "node.A.host"])?.exits(0);
    assert!(!fs::read_to_string(&file)?.contains("10.0.0.7"));
    scene.json(&["config", "unset", "scp.prot"])?.exits(3);
    for key in ["node.A", "node.A.host"] {
        let missing = scene.json(&["config", "unset", key])?.exits(3);
        let words = "there is no node A; the settings have EXPORT, QUERY";
        assert!(missing.err.contains(words), "{}", missing.err);
    }
    Ok(())
}

#[test]
fn addresses_are_checked_when_they_are_set() -> Test {
    let scene = made()?;
    for (key, value, words) in [
        ("scp.bind", "10.0.0.300", "four numbers of 0 to 255"),
        ("node.QUERY.host", "10.0.0.7:104", "has a port"),
        ("node.QUERY.host", "pacs/radiology", "is no host name"),
        ("scp.allow_peers", "10.0.0.0/33", "0 to 32"),
    ] {
        let refused = scene.json(&["config", "set", key, value])?.exits(3);
        assert!(refused.err.contains(words), "{value}: {}", refused.err);
    }
    for (key, value) in [("scp.bind", "::1"), ("node.QUERY.host", "pacs-2.local")] {
        scene.set(key, value)?;
    }
    Ok(())
}

#[test]
fn frozen_keys_cannot_change_after_the_first_import() -> Test {
    let scene = made()?;
    scene.set("site_id", "6")?;
    scene.cts(1)?;
    scene.json(&["import", "in"])?.exits(0);
    for (key, value) in [
        ("site_id", "7"),
        ("uid_root", "1.2.3"),
        ("pseudonyms", "keyed"),
        ("dates", "keyed"),
    ] {
        let ran = scene.json(&["config", "set", key, value])?.exits(3);
        assert!(ran.err.contains("frozen"), "{key}: {}", ran.err);
        // As it is, it may be set.
        let now = scene.json(&["config", "get", key])?.summary()?;
        let now = now["value"].as_str().ok_or("a text")?.to_owned();
        scene.set(key, &now)?;
    }
    // By hand, too.
    let file = scene.project().join("project.toml");
    let text = fs::read_to_string(&file)?.replace("site_id = \"6\"", "site_id = \"7\"");
    scene.write("project/project.toml", text.as_bytes())?;
    scene.json(&["import", "in"])?.exits(3);
    scene.json(&["status"])?.exits(3);
    Ok(())
}

#[test]
fn config_edit_saves_only_valid_settings() -> Test {
    let scene = made()?;
    let edit = |editor: &str| {
        let mut command = scene.command(&["-p", "project", "config", "edit"]);
        finish(command.env("EDITOR", editor))
    };
    let file = scene.project().join("project.toml");
    edit("sed -i s/MY_PROJECT/WARD/")?.exits(0);
    let text = fs::read_to_string(&file)?;
    assert!(text.contains("name = \"WARD\""));
    let ran = edit("sed -i s/WARD/no_such_name_is_allowed_here/")?.exits(3);
    assert!(ran.err.contains("project.toml.rejected"), "{}", ran.err);
    assert_eq!(fs::read_to_string(&file)?, text);
    let aside = fs::read_to_string(scene.project().join("project.toml.rejected"))?;
    assert!(aside.contains("no_such_name"));
    edit("false")?.exits(4);
    scene.run(&["-p", "project", "config", "edit"])?.exits(3);
    let path = scene.run(&["-p", "project", "config", "path"])?.exits(0);
    assert_eq!(path.out.trim_end(), file.to_string_lossy());
    Ok(())
}
