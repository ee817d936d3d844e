//! The documentation pages agree with the program and with V17.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anon_model::settings::KEYS;

use crate::support::Test;

const HEAD: &str = "\
# Settings

This page lists every key of `project.toml` with its type, default and allowed values.
`anon config get|set|unset|add|remove` take dotted names: `scp.port` is the key `port` under `[scp]` in the file.
`anon config unset KEY` restores the default of a key; `anon config unset node.NAME` removes a node.
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
