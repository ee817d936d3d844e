//! C-FIND with the patient root against archives with many patients.

use std::sync::{Arc, Mutex};

use anon_net::identifier::{Encoding, Identifier, tag};
use anon_net::service::{Cancel, Query, Scu, ServiceError};
use anon_net::{Node, Status};

use crate::pacs::{LONG, PacsRoot, hostile_node_of, request, respond};

/// The patients whose studies were queried.
type Asked = Arc<Mutex<Vec<String>>>;

/// An archive whose patients have one study each: the first 1.2.1, the second 1.2.2 and so on. A
/// study can be queried for one patient only.
fn archive(patients: &[&str]) -> (Scu, Node, Asked) {
    let studies: Vec<(String, String)> = patients
        .iter()
        .zip(1..)
        .map(|(id, n)| ((*id).to_owned(), format!("1.2.{n}")))
        .collect();
    let asked = Asked::default();
    let recorded = Arc::clone(&asked);
    let (scu, node) = hostile_node_of(PacsRoot::PatientHierarchical, move |association| {
        loop {
            let Ok((context, ask, requested)) = request(association, Encoding::ImplicitLittle)
            else {
                return association.release(LONG);
            };
            let is_patient_level = requested.text(tag::LEVEL).as_deref() == Some("PATIENT");
            let patient = requested.text(tag::PATIENT_ID);
            if !is_patient_level {
                let Some(patient) = &patient else {
                    respond(association, context, &ask, Status::new(0xA900), None)?;
                    continue;
                };
                recorded.lock().expect("a list").push(patient.clone());
            }
            for (id, study) in &studies {
                let mut response = Identifier::new();
                if is_patient_level {
                    response.set(tag::PATIENT_ID, id.as_bytes());
                } else {
                    let is_asked = requested.text(tag::STUDY_UID);
                    let is_other_study = is_asked.is_some_and(|uid| uid != *study);
                    let is_other_patient = !patient.as_ref().is_some_and(|key| matches(key, id));
                    if is_other_patient || is_other_study {
                        continue;
                    }
                    response.set(tag::STUDY_UID, study.as_bytes());
                }
                let bytes = response
                    .encode(Encoding::ImplicitLittle)
                    .expect("short values");
                respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
            }
            respond(association, context, &ask, Status::SUCCESS, None)?;
        }
    });
    (scu, node, asked)
}

/// Matches an ID with a key that may end in a wildcard (PS3.4 section C.2.2.2.4).
fn matches(key: &str, id: &str) -> bool {
    key.strip_suffix('*')
        .map_or(key == id, |start| id.starts_with(start))
}

#[test]
fn study_is_searched_for_in_no_more_patients_than_until_it_is_found() {
    let (scu, node, asked) = archive(&["A", "B", "C", "D"]);
    let query = Query::new().with_study("1.2.2".parse().expect("a UID"));
    let mut found = Vec::new();
    let report = scu.find(&node, &query, &Cancel::new(), &mut |study| {
        found.push((study.patient_id, study.study.expose().to_owned()));
    });
    assert_eq!(report.expect("a report").studies, 1);
    assert_eq!(found, [("B".to_owned(), "1.2.2".to_owned())]);
    assert_eq!(*asked.lock().expect("a list"), ["A", "B"]);
}

/// Most patients have no study that matches. Each costs a request nevertheless.
#[test]
fn search_through_more_patients_than_the_limit_ends() {
    let patients: Vec<String> = (0..30).map(|n| format!("P{n}")).collect();
    let patients: Vec<&str> = patients.iter().map(String::as_str).collect();
    let (scu, node, asked) = archive(&patients);
    let query = Query::new()
        .with_study("1.2.99".parse().expect("a UID"))
        .with_max_responses(40);
    let error = scu
        .find(&node, &query, &Cancel::new(), &mut drop)
        .expect_err("too many patients");
    let is_limit = matches!(error, ServiceError::TooMany { limit: 40, .. });
    assert!(is_limit, "{error:?}");
    // The responses with the patients count too.
    assert_eq!(asked.lock().expect("a list").len(), 10);
}

/// A patient ID with a wildcard would bring the studies of other patients.
#[test]
fn patient_id_with_a_wildcard_names_no_other_patient() {
    let (scu, node, asked) = archive(&["A*", "A1", "A?", "A2"]);
    let mut found = Vec::new();
    let report = scu.find(&node, &Query::new(), &Cancel::new(), &mut |study| {
        found.push((study.patient_id, study.study.expose().to_owned()));
    });
    assert_eq!(report.expect("a report").studies, 2);
    let expected = [("A1", "1.2.2"), ("A2", "1.2.4")];
    assert_eq!(
        found,
        expected.map(|(id, uid)| (id.to_owned(), uid.to_owned()))
    );
    assert_eq!(*asked.lock().expect("a list"), ["A1", "A2"]);
}
