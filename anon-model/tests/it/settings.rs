//! Project settings: defaults, the file, and every key.

use anon_model::modality::{MODALITIES, class_name, storage_classes, transfer_syntaxes};
use anon_model::settings::{Effect, FROZEN, KEYS, KeyDoc, Kind, Problem, Value, effect, file};
use anon_model::{Modality, ProjectSettings, SiteId};
use proptest::prelude::*;

fn settings() -> ProjectSettings {
    ProjectSettings::new(SiteId::new("123456789").expect("a site id"))
}

fn set(settings: &mut ProjectSettings, key: &str, word: &str) -> Result<(), Problem> {
    let kind = KeyDoc::of(key).map_or(Kind::Text, |doc| doc.kind);
    settings.set(key, &kind.parse(word).expect("a value"))
}

#[test]
fn defaults_are_as_documented() {
    let settings = settings();
    for doc in KEYS
        .iter()
        .filter(|doc| doc.key != "site_id" && !doc.key.contains("<name>"))
    {
        let value = settings.get(doc.key).expect("a key");
        let word = value.map_or_else(String::new, |value| value.to_string());
        assert_eq!(word, doc.default, "{}", doc.key);
        assert!(
            !doc.about.is_empty() && !doc.allowed.is_empty(),
            "{}",
            doc.key
        );
    }
    let classes = settings.accepted_classes();
    let expected = ["1", "1.1", "1.1.1", "2", "2.1", "2.2", "4", "4.1"];
    assert_eq!(
        classes,
        expected.map(|tail| format!("1.2.840.10008.5.1.4.1.1.{tail}"))
    );
    assert_eq!(FROZEN, ["site_id", "uid_root", "dates", "pseudonyms"]);
    assert!(
        FROZEN
            .iter()
            .all(|key| KeyDoc::of(key).is_some_and(KeyDoc::is_frozen))
    );
}

/// The words and numbers of `allowed` are what the check of the key accepts.
#[test]
fn allowed_values_are_as_documented() {
    let sets = |key: &str, word: &str| set(&mut settings(), key, word).is_ok();
    for doc in KEYS {
        let key = &*doc.key.replace("<name>", "PACS");
        let unknown = doc.kind.parse("unknown");
        let refused = unknown.and_then(|value| settings().set(key, &value).err());
        if refused.is_some_and(|problem| problem.to_string().contains("unknown word")) {
            let words = doc.allowed.trim_end_matches(" or both");
            for word in words.split(", ").flat_map(|words| words.split(" or ")) {
                assert!(sets(key, word), "{key} = {word}");
            }
        }
        let numbers: Vec<i64> = doc
            .allowed
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        if let (Kind::Integer, [least, most, ..]) = (doc.kind, &*numbers) {
            assert!(sets(key, &least.to_string()), "{key} = {least}");
            assert!(sets(key, &most.to_string()), "{key} = {most}");
            assert!(!sets(key, &(least - 1).to_string()), "{key} < {least}");
            assert!(!sets(key, &(most + 1).to_string()), "{key} > {most}");
        }
    }
}

#[test]
fn every_key_says_when_a_change_takes_effect() {
    for (key, expected) in [
        ("node.PACS.host", Effect::AtOnce),
        ("retrieve.studies", Effect::AtOnce),
        ("timeouts.tcp", Effect::AtOnce),
        ("export.attempts", Effect::AtOnce),
        ("s3.bucket", Effect::AtOnce),
        // The receiver keeps these, and only queries and the like read them anew.
        ("timeouts.dimse", Effect::Restart),
        ("tls.certificate", Effect::Restart),
        ("scp.port", Effect::Restart),
        ("script", Effect::Restart),
        ("modalities", Effect::Restart),
        ("log.target.anon_net", Effect::Restart),
    ] {
        assert_eq!(effect(key), Some(expected), "{key}");
    }
    assert_eq!(effect("node.PACS"), None);
    let sooner: Vec<&str> = KEYS
        .iter()
        .filter(|doc| doc.effect_of_removal != doc.effect)
        .map(|doc| {
            assert_eq!(
                doc.effect_of_removal,
                Effect::NextAssociation,
                "{}",
                doc.key
            );
            doc.key
        })
        .collect();
    assert_eq!(
        sooner,
        ["modalities", "storage_classes", "transfer_syntaxes"]
    );
}

#[test]
fn every_key_can_be_set_read_and_written() {
    for doc in KEYS {
        let key = doc.key.replace("<name>", "PACS");
        let words: &[&str] = match doc.key {
            "site_id" => &["42", "99.99"],
            "uid_root" => &["1.2.3"],
            "name" => &["A b_c-d.9"],
            "dialect" => &["ctp"],
            "modalities" => &["all", "CT,SEG", ""],
            "storage_classes" => &["1.2.840.10008.5.1.4.1.1.88.59,1.2.3.4"],
            "transfer_syntaxes" => &["1.2.840.10008.1.2.1", "all"],
            "durability" => &["relaxed"],
            "patient_key" => &["id+issuer"],
            "missing_patient_id" => &["quarantine"],
            "study_patient_conflict" => &["first"],
            "burned_in" => &["accept"],
            "strictness" => &["strict"],
            "dates" | "pseudonyms" => &["keyed"],
            "quarantine.files" => &["reference"],
            "node.<name>.use" => &["query,export"],
            "s3.endpoint" | "s3.cognito_endpoint" => &["https://s3.example.org"],
            "s3.addressing" => &["path", "host"],
            "s3.checksum" => &["sha256", "none"],
            "s3.encryption" => &["aes256", "kms"],
            "s3.part_bytes" | "s3.memory_bytes" => &["5242880"],
            "s3.password_keyring" => &["anon/tester", "a b/ü/x@y"],
            "log.level" | "log.target.<name>" => &["debug"],
            "store.cache_bytes" => &["1048576"],
            "scp.max_pdu_bytes" => &["4096"],
            "scp.tls" => &["mutual"],
            _ => match doc.kind {
                Kind::Integer => &["17"],
                Kind::Bool => &["true"],
                _ => &["WORD"],
            },
        };
        for word in words {
            let mut settings = settings();
            set(&mut settings, &key, word).expect(&key);
            let value = settings.get(&key).expect("a key").expect("a value");
            assert_eq!(value.to_string(), *word, "{key}");
            for rest in [("aet", "AET"), ("host", "host")] {
                let other = format!("node.PACS.{}", rest.0);
                if key.starts_with("node.") && other != key {
                    set(&mut settings, &other, rest.1).expect("a node");
                }
            }
            let text = file::write(&settings);
            assert_eq!(file::parse(&text), Ok(settings), "{key} = {word}:\n{text}");
        }
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for (key, word) in [
        ("site_id", "01"),
        ("site_id", "12345678901234567"),
        ("site_id", "1a"),
        ("uid_root", "1.2.3."),
        ("uid_root", "1.2.826.0.1.3680043.10.474.2.1234567890.1234"),
        ("name", ""),
        ("name", "seventeen letters"),
        ("name", "a/b"),
        ("name", "   "),
        ("modalities", "CT,XYZ"),
        ("storage_classes", "No Such Storage"),
        ("storage_classes", "1.02"),
        ("transfer_syntaxes", "JPEG 3000"),
        ("durability", "none"),
        ("node.A B.aet", "X"),
        ("node.PACS.port", "0"),
        ("node.PACS.port", "65536"),
        ("node.PACS.use", "store"),
        ("node.PACS.aet", "SEVENTEEN LETTERS"),
        ("node.PACS.host", "two words"),
        ("node.PACS.host", "10.0.0.300"),
        ("node.PACS.host", "10.0.0"),
        ("node.PACS.host", "10.0.0.7:104"),
        ("node.PACS.host", "[::1]"),
        ("node.PACS.host", "pacs..local"),
        ("node.PACS.host", "-pacs"),
        ("node.PACS.host", "pacs/radiology"),
        ("scp.bind", "256.1.1.1"),
        ("scp.allow_peers", "10.0.0.0/33"),
        ("scp.allow_peers", "pacs/24"),
        ("scp.port", "-1"),
        ("scp.aet", "A\\B"),
        ("scp.max_associations", "0"),
        ("scp.max_associations_per_peer", "1025"),
        ("scp.max_pdu_bytes", "4095"),
        ("scp.tls", "on"),
        ("retrieve.studies", "33"),
        ("export.patients", "0"),
        ("export.associations", "65"),
        ("export.attempts", "21"),
        ("timeouts.tcp", "0"),
        ("timeouts.network", "3601"),
        ("store.cache_bytes", "1"),
        ("quarantine.max_bytes", "-1"),
        ("s3.endpoint", "ftp://x"),
        ("s3.endpoint", "https://user:word@host"),
        ("s3.cognito_endpoint", "x"),
        ("s3.checksum", "md5"),
        ("s3.addressing", "virtual"),
        ("s3.encryption", "aws:kms"),
        ("s3.part_bytes", "5242879"),
        ("s3.memory_bytes", "1"),
        ("s3.stall_timeout", "0"),
        ("s3.parallel", "257"),
        ("s3.access_key_env", "AKIAIOSFODNN7EXAMPLE"),
        (
            "s3.secret_key_env",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        ("s3.password_env", "Hunter2!"),
        ("s3.session_token_env", "1ST"),
        ("s3.password_keyring", "Hunter2!"),
        ("s3.password_keyring", "anon/"),
        ("log.level", "loud"),
        ("script", ""),
    ] {
        let mut changed = settings();
        let problem = set(&mut changed, key, word).expect_err(key);
        assert!(
            matches!(&problem, Problem::Value { key: named, .. } if named == key),
            "{problem}"
        );
        assert_eq!(changed, settings(), "{key} = {word} changed something");
        assert!(problem.to_string().contains("allowed: "), "{problem}");
    }
    let wrong = settings().set("scp.port", &Value::Text("x".to_owned()));
    assert!(matches!(wrong, Err(Problem::Type { .. })));
}

#[test]
fn addresses_and_host_names_are_accepted() {
    for (key, word) in [
        ("node.PACS.host", "10.0.0.7"),
        ("node.PACS.host", "::1"),
        ("node.PACS.host", "fe80::1"),
        ("node.PACS.host", "localhost"),
        ("node.PACS.host", "pacs-2.radiology.example.org."),
        ("node.PACS.host", "CT_ROOM_1"),
        ("node.PACS.host", "3com"),
        ("scp.bind", "0.0.0.0"),
        ("scp.allow_peers", "10.1.0.0/16,fe80::/10,10.0.0.7,pacs"),
    ] {
        let mut changed = settings();
        set(&mut changed, key, word).expect(word);
    }
}

#[test]
fn an_unknown_word_suggests_what_was_probably_meant() {
    for (key, word, meant) in [
        ("modalities", "RM", Some("MR")),
        ("modalities", "CT,mri", Some("MR")),
        ("modalities", "ultrasound", Some("US")),
        ("modalities", "XQ", None),
        (
            "storage_classes",
            "CT Image Storag",
            Some("CT Image Storage"),
        ),
        (
            "storage_classes",
            "Basic Text",
            Some("Basic Text SR Storage"),
        ),
        ("durability", "relax", None),
        ("durability", "relaxd", Some("relaxed")),
    ] {
        let problem = set(&mut settings(), key, word).expect_err(word);
        let nearest = match &problem {
            Problem::Value { nearest, .. } => nearest.as_deref(),
            _ => None,
        };
        assert_eq!(nearest, meant, "{word}: {problem}");
    }
}

#[test]
fn a_missing_node_is_named_with_those_that_exist() {
    for key in ["node.A", "node.A.host"] {
        let problem = settings().unset(key).expect_err(key);
        assert_eq!(
            problem.to_string(),
            "there is no node A; the settings have EXPORT, QUERY"
        );
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = "format = 1\nsite_id = \"01\"\nnam = \"x\"\nmodalities = [\"CTT\"]\n\
                [scp]\nprot = 1\nport = 99999\n[s3]\nsecret_access_key = \"k\"\n\
                [node.PACS]\nhost = \"a\"\npasword = \"x\"\n";
    let problems = file::parse(text).expect_err("refused").problems;
    let says = |part: &str| {
        let found = problems
            .iter()
            .filter(|problem| problem.to_string().contains(part))
            .count();
        assert_eq!(found, 1, "{part}: {problems:#?}");
    };
    says("site_id has a component with a leading zero");
    says("there is no key nam; did you mean name?");
    says("did you mean CT?");
    says("there is no key scp.prot; did you mean scp.port?");
    says("scp.port is out of range; allowed: 0 to 65535");
    says("s3.secret_access_key looks like a secret");
    says("node.PACS.aet is missing");
    says("node.PACS.pasword");
    assert_eq!(problems.len(), 8);
}

/// Regression of V17 (spec/rsna-v17.md 10.1, 6): it stored the AWS password in the project file in
/// clear.
#[test]
fn f06_secrets_are_refused() {
    for key in [
        "s3.password",
        "s3.secret_key",
        "s3.access_key_id",
        "s3.session_token",
        "password",
    ] {
        let text = format!("format = 1\nsite_id = \"1\"\n{key} = \"hunter2\"\n");
        let error = file::parse(&text).expect_err(key);
        assert_eq!(
            error.problems,
            [Problem::Secret {
                key: key.to_owned()
            }]
        );
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn files_without_valid_settings_are_refused() {
    let parse = |text: &str| file::parse(text).expect_err(text).problems;
    assert!(matches!(
        &parse("format = 1\nname = \n")[..],
        [Problem::Syntax { line: 2, .. }]
    ));
    let newer = parse("format = 2\nsite_id = \"1\"\nanything = 1\n");
    assert_eq!(newer, [Problem::Format { found: 2 }]);
    let missing = |key: &str| Problem::Missing {
        key: key.to_owned(),
    };
    assert_eq!(parse(""), [missing("format"), missing("site_id")]);
    assert!(matches!(
        &parse("format = 1\nsite_id = 5\n")[..],
        [Problem::Type { .. }]
    ));
    let group = parse("format = 1\nsite_id = \"1\"\nscp = 5\n");
    assert!(
        matches!(&group[..], [Problem::UnknownKey { .. }]),
        "{group:?}"
    );
    let node = parse("format = 1\nsite_id = \"1\"\n[node.PACS]\n[other]\n");
    assert!(!node.is_empty());
}

/// Regression of V17 (spec/rsna-v17.md 10.2, 19): it lost added storage classes when it opened a
/// project.
#[test]
fn a_transfer_syntax_of_a_vendor_can_be_added_to_all() {
    let (mut settings, key) = (settings(), "transfer_syntaxes");
    settings
        .add(key, &["RLE Lossless".to_owned()])
        .expect("all holds it");
    let all = Value::Text("all".to_owned());
    assert_eq!(settings.get(key), Ok(Some(all)));
    settings
        .add(key, &["1.2.3.4.999".to_owned()])
        .expect("a vendor's");
    let Ok(Some(Value::List(list))) = settings.get(key) else {
        panic!("not a list");
    };
    assert_eq!(list.len(), transfer_syntaxes().count() + 1);
    assert!(list.contains(&"1.2.3.4.999".to_owned()));
}

#[test]
fn f19_added_storage_classes_are_kept() {
    let mut settings = settings();
    let key = "storage_classes";
    let add = [
        "Key Object Selection Document Storage".to_owned(),
        "1.2.3.4".to_owned(),
    ];
    settings.add(key, &add).expect("known names");
    settings
        .add(key, &["1.2.840.10008.5.1.4.1.1.88.59".to_owned()])
        .expect("the same again");
    settings
        .add("modalities", &["SR".to_owned(), "CT".to_owned()])
        .expect("modalities");
    let reopened = file::parse(&file::write(&settings)).expect("our own file");
    assert_eq!(reopened, settings);
    let classes = reopened.accepted_classes();
    assert_eq!(classes.len(), 8 + 5 + 2);
    assert!(classes.ends_with(&[
        "1.2.840.10008.5.1.4.1.1.88.59".to_owned(),
        "1.2.3.4".to_owned()
    ]));
    settings
        .remove(key, &["KeyObjectSelectionDocumentStorage".to_owned()])
        .expect("a keyword");
    settings
        .remove(key, &["1.9.9".to_owned()])
        .expect("not there: no change");
    assert_eq!(
        settings.get(key),
        Ok(Some(Value::List(vec!["1.2.3.4".to_owned()])))
    );
    assert!(matches!(
        settings.add("name", &add),
        Err(Problem::NotAList { .. })
    ));
}

#[test]
fn items_are_added_to_and_removed_from_all() {
    let mut settings = settings();
    set(&mut settings, "modalities", "all").expect("all");
    assert_eq!(settings.accepted_classes().len(), storage_classes().count());
    settings
        .add("modalities", &["CT".to_owned()])
        .expect("all holds it");
    assert!(settings.add("modalities", &["CTX".to_owned()]).is_err());
    assert!(settings.remove("modalities", &["CT".to_owned()]).is_err());
    settings
        .remove("transfer_syntaxes", &["RLE Lossless".to_owned()])
        .expect("a name");
    let Ok(Some(Value::List(left))) = settings.get("transfer_syntaxes") else {
        panic!("not a list");
    };
    assert_eq!(left.len(), transfer_syntaxes().count() - 1);
    assert!(settings.unset("node.QUERY").unwrap());
    assert!(settings.unset("node.QUERY").is_err());
}

#[test]
fn modalities_include_v17s_with_the_same_classes() {
    let counts: Vec<_> = MODALITIES
        .iter()
        .take(15)
        .map(|m| (m.code, m.classes().count()))
        .collect();
    let expected = [
        ("CR", 1),
        ("DX", 2),
        ("IO", 2),
        ("MG", 5),
        ("CT", 3),
        ("MR", 2),
        ("US", 3),
        ("PT", 3),
        ("NM", 1),
        ("SC", 1),
        ("SR", 5),
        ("PR", 11),
        ("PDF", 1),
        ("OT", 0),
        ("DOC", 0),
    ];
    assert_eq!(counts, expected);
    for modality in MODALITIES {
        for uid in modality.classes() {
            assert!(class_name(&uid).is_some(), "{} {uid}", modality.code);
            assert_eq!(
                Modality::of_class(&uid).map(|m| m.code),
                Some(modality.code),
                "{uid}"
            );
        }
    }
    for code in [
        "XA", "RF", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTIMAGE", "SEG", "KO", "ECG", "SM", "OP",
        "OPT", "ES", "XC", "M3D", "REG",
    ] {
        assert!(
            Modality::named(code).is_some_and(|m| m.classes().count() > 0),
            "{code}"
        );
    }
}

proptest! {
    /// Settings → text → settings, for all values.
    #[test]
    fn settings_round_trip(
        name in "[A-Za-z0-9_.-]{1,16}",
        port in 0..=65535_i64,
        aet in "[!-\\[\\]-~]{1,16}",
        node in "[A-Za-z0-9_-]{1,12}",
        script in "\\PC{1,40}",
        modalities in prop::sample::subsequence(MODALITIES.iter().map(|m| m.code.to_owned()).collect::<Vec<_>>(), 0..8),
        seconds in 1..=3600_i64,
    ) {
        let mut settings = settings();
        let text = |text: &str| Value::Text(text.to_owned());
        settings.set("name", &text(&name)).expect("a name");
        settings.set("scp.port", &Value::Integer(port)).expect("a port");
        settings.set("scp.aet", &text(&aet)).expect("an AE title");
        settings.set("script", &text(&script)).expect("a script");
        settings.set(&format!("node.{node}.aet"), &text(&aet)).expect("an AE title");
        settings.set(&format!("node.{node}.host"), &text("host")).expect("a host");
        settings.set("modalities", &Value::List(modalities)).expect("modalities");
        settings.set("timeouts.dimse", &Value::Integer(seconds)).expect("seconds");
        prop_assert_eq!(file::parse(&file::write(&settings)), Ok(settings));
    }

    #[test]
    fn no_text_of_a_settings_file_panics(text in "(\\PC|\n|=|\"|\\[|\\]){0,80}") {
        let _ = file::parse(&text);
    }
}
