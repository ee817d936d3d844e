//! The documentation pages agree with the program and with V17.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
#[cfg(unix)]
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use anon_model::RemarkReason;
use anon_model::settings::KEYS;

use crate::support::Test;
#[cfg(unix)]
use crate::{
    archive::{Archive, Behaviour},
    support::{Run, Scene, finish},
};

const HEAD: &str = "\
# Settings

This page lists every key of `project.toml` with its type, default and allowed values.
`anon config get|set|unset|add|remove` take dotted names: `scp.port` is the key `port` under `[scp]` in the file.
`anon config unset KEY` restores the default of a key; `anon config unset node.NAME` removes a node.
[Who can use a project](access.md) lists what is checked before a project is used, and `anon config trust`.
A *frozen* key cannot change once the first pseudonym has been assigned.
The default nodes exist only while the file names no node.

The column *effect* says when a change reaches a process that is running, such as `anon serve`.
Commands that are started after the change use the new value.

| effect | meaning |
|---|---|
| at once | everything that begins after the change uses it; retrieves and exports under way do not |
| next association | associations that are opened after the change use it |
| restart | the process must be started again |

| key | type | default | allowed values | effect | meaning |
|---|---|---|---|---|---|
";

fn settings_page() -> Test<String> {
    let mut page = HEAD.to_owned();
    for key in KEYS {
        let default = match key.default {
            "" => "–".to_owned(),
            default => format!("`{default}`"),
        };
        let name = key.key.replace('|', "\\|");
        let mut effect = key.effect.words().to_owned();
        if key.effect_of_removal != key.effect {
            write!(effect, "; removal: {}", key.effect_of_removal.words())?;
        }
        let frozen = if key.is_frozen() { " *Frozen.*" } else { "" };
        writeln!(
            page,
            "| `{name}` | {} | {default} | {} | {effect} | {}{frozen} |",
            key.kind.words(),
            key.allowed,
            key.about
        )?;
    }
    Ok(page)
}

/// Set `ANON_WRITE_DOCS=1` to write the page instead of checking it.
#[test]
fn settings_page_lists_every_key() -> Test {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    if std::env::var_os("ANON_WRITE_DOCS").is_some() {
        use std::io::Write;
        fs::File::create(&path)?.write_all(settings_page()?.as_bytes())?;
    }
    assert!(
        fs::read_to_string(path)? == settings_page()?,
        "docs/config.md is out of date: run this test with ANON_WRITE_DOCS=1"
    );
    Ok(())
}

#[test]
fn remarks_page_lists_every_reason_as_people_read_it() -> Test {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/remarks.md");
    let page = fs::read_to_string(path)?;
    for reason in RemarkReason::ALL {
        let (name, kind) = (reason.name(), reason.kind().name());
        let row = format!("| `{name}` | `{kind}` | {} |", reason.sentence(2));
        assert!(page.lines().any(|line| line == row), "not there: {row}");
    }
    Ok(())
}

/// Structures outside `src/command` that are printed, and the part of the page that has their fields.
const PRINTED: [(&str, &str, &str); 10] = [
    ("project/record.rs", "Instance", "`import`"),
    ("project/record.rs", "Summary", "`import`"),
    ("project/record.rs", "Fetched", "`retrieve`"),
    ("project/record.rs", "Retrieved", "`retrieve`"),
    ("project/record.rs", "Deleted", "`delete`"),
    ("project/record.rs", "AdoptedRow", "`import-java-index`"),
    ("project/record.rs", "Clashes", "Shared fields"),
    ("project/remark.rs", "RemarkRecord", "Shared fields"),
    ("project/recent.rs", "RecentProject", "`list`"),
    ("node/key_list.rs", "RefusedEntry", "Shared fields"),
];

/// Returns the structures of a source that are serialized, with the names of their fields.
fn serialized(source: &str) -> Vec<(&str, Vec<&str>)> {
    let mut structures = Vec::new();
    for after in source.split("derive(").skip(1) {
        let Some((derived, after)) = after.split_once(")]") else {
            continue;
        };
        let head = after.split('{').next().unwrap_or_default();
        let name = head.split("struct ").nth(1).unwrap_or_default();
        if !derived.contains("Serialize") || name.is_empty() {
            continue;
        }
        let body = after.split("\n}").next().unwrap_or_default();
        let mut is_left_out = false;
        let mut fields = Vec::new();
        for line in body.lines().skip_while(|line| !line.ends_with('{')).skip(1) {
            let line = line.trim();
            if line.starts_with("#[serde(") {
                is_left_out = line == "#[serde(skip)]" || line == "#[serde(flatten)]";
            } else if let Some((field, _)) = line.split_once(": ")
                && !line.starts_with("//")
            {
                let field = field.rsplit(' ').next().unwrap_or(field);
                if !is_left_out && field != "event" && field != "command" {
                    fields.push(field);
                }
                is_left_out = false;
            }
        }
        let name = name.trim().split('<').next().unwrap_or(name);
        structures.push((name, fields));
    }
    structures
}

/// Returns the part of the JSON page for a source in `src/command`.
fn part_of(source: &Path) -> Option<String> {
    let name = source.components().next()?.as_os_str().to_str()?;
    Some(match name.trim_end_matches(".rs") {
        "outcome" if source.ends_with("left_out.rs") => "Shared fields".to_owned(),
        "outcome" => "`import`".to_owned(),
        "java_index" => "`import-java-index`".to_owned(),
        command => format!("`{command}`"),
    })
}

#[test]
fn json_page_lists_every_field_that_a_command_prints() -> Test {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/json.md"))?;
    let mut expected = Vec::new();
    let mut check = |text: &str, only: Option<&str>, part: &str| {
        let structures = serialized(text).into_iter();
        for (name, fields) in structures.filter(|(name, _)| only.is_none_or(|only| only == *name)) {
            let fields = fields.into_iter().map(str::to_owned);
            expected.extend(fields.map(|field| (part.to_owned(), name.to_owned(), field)));
        }
    };
    for (path, bytes) in crate::support::tree(&root.join("src/command"))? {
        let part = part_of(Path::new(&path)).ok_or("a name")?;
        check(&String::from_utf8(bytes)?, None, &part);
    }
    for (path, name, part) in PRINTED {
        let text = fs::read_to_string(root.join("src").join(path))?;
        check(&text, Some(name), part);
    }
    assert!(expected.len() > 250, "{}", expected.len());
    let missing = expected.iter().filter(|(part, _, field)| {
        let text = page.split("\n## ").find(|text| text.starts_with(&**part));
        !text.is_some_and(|text| text.contains(&format!("`{field}`")))
    });
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "not on the page: {missing:#?}");
    Ok(())
}

/// The classes, methods and settings of V17 that a user may look for.
const V17: &str = "
    AWSCognito AWS_authenticate AWS_authenticate_ex AWS_credentials_valid AWS_get_instances
    Anonymizer AnonymizerController AnonymizerModel DEFAULT_ANON_DATE DEIDENTIFICATION_METHOD
    DEIDENTIFICATION_METHODS DICOMNode EchoRequest EchoResponse ExportPatientsRequest
    ExportPatientsResponse ExportView FindStudyRequest FindStudyResponse ImportFilesDialog
    ImportStudiesDialog InstanceUIDHierarchy JavaAnonymizerExportedStudy LoggingLevels
    MAX_PATIENTS MoveStudiesRequest NUMBER_OF_WORKER_THREADS NetworkTimeouts PHI
    PRIVATE_BLOCK_NAME ProjectController ProjectModel QueryView Series SeriesUIDHierarchy
    SettingsDialog Study StudyUIDHierarchy Totals WelcomeView _connect_to_scp _query
    _query_result_fields_to_remove abort_export abort_move abridged_storage_dir
    add_storage_class add_transfer_syntax anonymize anonymize_dataset_ex anonymize_file
    anonymizer_script_path bulk_export_active bulk_move_active capture_phi clear_lookups
    create_phi_csv default_anon_pt_id delete_study echo echo_ex export_patients_ex
    export_to_AWS extract_first_digit find_ex find_instance find_studies
    find_studies_via_acc_nos get_acc_no_count get_anon_acc_no get_anon_patient_id get_anon_uid
    get_instances get_next_anon_acc_no get_next_anon_patient_id get_next_anon_uid
    get_number_of_instances get_number_of_pending_instances get_patient_id_count
    get_pending_instance_count get_phi get_phi_index get_phi_name get_quarantine_path
    get_stored_instance_count get_study_uid_hierarchies get_study_uid_hierarchy get_totals
    get_uid_count hash_date images_dir language_code last_error_msg load_script
    local_storage_path missing_attributes modalities move_studies_ex new_study_from_dataset
    pending_instances phi_export_dir private_dir project_name regenerate_site_id remote_scps
    remove_phi remove_pixel_phi remove_storage_class remove_transfer_syntax remove_uid
    remove_uid_inverse required_attributes round_age save scp scu send send_c_store
    series_complete set_anon_acc_no set_anon_patient_id set_anon_uid set_phi
    set_storage_classes_from_modalities site_id start_scp stop stop_scp storage_dir
    study_imported transfer_syntaxes uid_received uid_root update_model update_move_stats
    update_move_stats_instance_level valid_date
";

/// A missing row would leave a V17 user without an answer.
#[test]
fn v17_page_answers_for_every_v17_name() -> Test {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-v17.md");
    let text = fs::read_to_string(path)?;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let mut answered = 0;
    let mut named = BTreeSet::new();
    for row in rows.filter(|row| *row != "V17 | here |") {
        let (theirs, ours) = row.split_once(" | ").ok_or("a row has only one column")?;
        assert!(ours.trim_matches([' ', '|']).len() > 3, "no answer: {row}");
        named.extend(theirs.split('`').skip(1).step_by(2));
        answered += 1;
    }
    assert!(answered > 100, "{answered} rows");
    let missing: Vec<&str> = V17
        .split_whitespace()
        .filter(|name| !named.contains(name))
        .collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
    Ok(())
}

/// Returns the commands of the README that begin with `anon `, each with its comment.
#[cfg(unix)]
fn commands_of_the_readme() -> Test<Vec<String>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme)?;
    let blocks = readme.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|block| Some(block.split_once("```")?.0));
    let lines = blocks
        .flat_map(str::lines)
        .filter(|line| line.starts_with("anon "));
    Ok(lines.map(str::to_owned).collect())
}

/// Runs a line as a shell does, in a directory that has the files of the repository.
#[cfg(unix)]
fn run_line(scene: &Scene, line: &str) -> Test<Run> {
    let anon = Path::new(env!("CARGO_BIN_EXE_anon"));
    let path = std::env::var("PATH")?;
    let path = format!("{}:{path}", anon.parent().ok_or("a directory")?.display());
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", &format!("exec {line}")])
        .env("PATH", path)
        .env_remove("ANON_PROJECT")
        .current_dir(scene.path())
        .stdin(std::process::Stdio::null());
    if !line.starts_with("anon -p trial serve") {
        return finish(&mut shell);
    }
    // Until Ctrl-C, once it says that it listens.
    let mut child = shell.stdout(std::process::Stdio::piped()).spawn()?;
    let mut out = String::new();
    let mut printed = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    printed.read_line(&mut out)?;
    let pid = rustix::process::Pid::from_raw(child.id().try_into()?).ok_or("a process")?;
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    printed.read_to_string(&mut out)?;
    let code = child.wait()?.code();
    let err = String::new();
    Ok(Run { code, out, err })
}

/// Only the port of the PACS is replaced, and `serve` listens on a free one.
#[cfg(unix)]
#[test]
fn the_commands_of_the_readme_run_as_written() -> Test {
    use anon_engine::testing::files::{Place, ct_small};

    let scene = Scene::new()?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    std::os::unix::fs::symlink(repository.canonicalize()?, scene.path().join("examples"))?;
    let behaviour = Behaviour {
        title: Some("PACS"),
        ..Behaviour::default()
    };
    let objects = (0..3).map(|n| ct_small(&Place::nth(20_190_304, n, 5)));
    let archive = Archive::start(behaviour, objects.collect())?;
    let commands = commands_of_the_readme()?;
    assert!(commands.len() > 10, "{commands:?}");
    for line in &commands {
        let line = line.replace("127.0.0.1:11112", &format!("127.0.0.1:{}", archive.port));
        if line.starts_with("anon -p trial serve") {
            run_line(&scene, "anon -p trial config set scp.port 0")?.exits(0);
        }
        let code = if line.contains(" serve") { 130 } else { 0 };
        run_line(&scene, &line)?.exits(code);
    }
    for (name, bytes) in [("index.csv", 100), ("index.xlsx", 1000)] {
        assert!(
            fs::metadata(scene.path().join(name))?.len() > bytes,
            "{name}"
        );
    }
    assert!(fs::read_dir(scene.path().join("out"))?.count() > 1);
    Ok(())
}
