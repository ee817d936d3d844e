//! Series and instances of studies, from servers with different behavior.

use anon_net::identifier::{Encoding, Identifier, tag};
use anon_net::service::{
    Cancel, Detail, HierarchyRequest, InstanceFilter, ServiceError, StudyHierarchy,
};
use anon_net::{InstanceUid, Status, Uid};

use crate::pacs::{
    CT, DCMQRSCP, LONG, ORTHANC, PYNETDICOM, Pacs, PacsBehavior, SR, hostile_node, request,
    respond, study,
};

const BEHAVIORS: [(&str, PacsBehavior); 3] = [
    ("Orthanc", ORTHANC),
    ("dcmqrscp", DCMQRSCP),
    ("pynetdicom", PYNETDICOM),
];

fn uid(text: &str) -> InstanceUid {
    text.parse().expect("a UID")
}

fn archive(behavior: PacsBehavior) -> Pacs {
    let studies = vec![
        study(1, "A", &[("CT", 3), ("SR", 1), ("CT", 2)]),
        study(2, "A", &[("MR", 1)]),
    ];
    Pacs::start(behavior, studies)
}

fn ask(pacs: &Pacs, request: &HierarchyRequest) -> StudyHierarchy {
    let result = pacs.scu().hierarchy(&pacs.node, request, &Cancel::new());
    result.expect("a hierarchy")
}

#[test]
fn counts_are_right_for_every_server_behavior() {
    for (name, behavior) in BEHAVIORS {
        let returns_counts = behavior.returns_counts;
        let pacs = archive(behavior);
        let found = ask(&pacs, &HierarchyRequest::new(uid("1.2.1"), Detail::Series));
        let uids: Vec<_> = found.series.iter().map(|s| s.uid.expose()).collect();
        assert_eq!(uids, ["1.2.1.0", "1.2.1.1", "1.2.1.2"], "{name}");
        let counts: Vec<_> = found.series.iter().map(|series| series.count).collect();
        assert_eq!(counts, [3, 1, 2], "{name}");
        assert_eq!((found.count(), found.included()), (6, 6), "{name}");
        assert_eq!(found.series[1].modality.as_deref(), Some("SR"), "{name}");
        let words = (
            found.series[0].description.as_deref(),
            found.series[0].number,
        );
        let expected = if returns_counts {
            (Some("thin"), Some(7))
        } else {
            (None, None)
        };
        assert_eq!(words, expected, "{name}");
        // A server that returns counts is not queried for instances.
        let requested = pacs.requested().len();
        assert_eq!(requested, if returns_counts { 1 } else { 4 }, "{name}");
        assert!(!format!("{found:?}").contains("1.2.1"), "{name}");
    }
}

#[test]
fn each_instance_is_returned_once_with_its_series() {
    for (name, behavior) in BEHAVIORS {
        let classes = behavior.classes;
        let request = HierarchyRequest::new(uid("1.2.1"), Detail::Instances);
        let found = ask(&archive(behavior), &request);
        let instances: Vec<_> = found
            .instances()
            .map(|(series, instance)| (series.uid.expose(), instance.uid.expose()))
            .collect();
        let expected = [
            ("1.2.1.0", "1.2.1.0.0"),
            ("1.2.1.0", "1.2.1.0.1"),
            ("1.2.1.0", "1.2.1.0.2"),
            ("1.2.1.1", "1.2.1.1.0"),
            ("1.2.1.2", "1.2.1.2.0"),
            ("1.2.1.2", "1.2.1.2.1"),
        ];
        assert_eq!(instances, expected, "{name}");
        let class = found.series[1].sop_class.as_ref().map(Uid::as_str);
        assert_eq!(class, classes.then_some(SR), "{name}");
    }
}

#[test]
fn excluded_classes_and_modalities_are_marked() {
    let class = |uid: &str| uid.parse::<Uid>().expect("a UID");
    for (name, behavior) in BEHAVIORS {
        let classes = behavior.classes;
        let pacs = archive(behavior);
        let ask = |expected| {
            let request = HierarchyRequest::new(uid("1.2.1"), Detail::Instances);
            let found = ask(&pacs, &request.with_filter(expected));
            let excluded = found.series.iter().map(|series| series.excluded);
            (
                excluded.collect::<Vec<_>>(),
                found.count(),
                found.included(),
            )
        };
        let found = ask(InstanceFilter::all().with_modalities(["CT", "MR"]));
        assert_eq!(found, (vec![false, true, false], 6, 5), "{name}");
        let found = ask(InstanceFilter::all().with_series_if(|series| series.count > 2));
        assert_eq!(found, (vec![false, true, true], 6, 3), "{name}");
        // If the server does not return the SOP class, nothing is excluded.
        let found = ask(InstanceFilter::all().with_sop_classes([class(CT)]));
        let expected = if classes {
            (vec![false, true, false], 6, 5)
        } else {
            (vec![false; 3], 6, 6)
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn unknown_study_has_no_series() {
    for (name, behavior) in BEHAVIORS {
        let request = HierarchyRequest::new(uid("1.2.9"), Detail::Instances);
        let found = ask(&archive(behavior), &request);
        assert_eq!((found.series.len(), found.count()), (0, 0), "{name}");
    }
}

/// A server that ignores keys returns other studies; a broken one leaves out UIDs.
#[test]
fn responses_that_do_not_match_are_ignored() {
    let (scu, node) = hostile_node(|association| {
        loop {
            let Ok((context, ask, requested)) = request(association, Encoding::ImplicitLittle)
            else {
                return association.release(LONG);
            };
            let series = ["1.2.5", "", "../..", "1.2.6", "1.2.5"];
            for (n, series) in series.iter().enumerate() {
                let mut response = Identifier::new();
                let study = if n == 3 { "1.3" } else { "1.2" };
                response.set(tag::STUDY_UID, study.as_bytes());
                response.set(tag::SERIES_UID, series.as_bytes());
                response.set(tag::INSTANCES_IN_SERIES, b"0");
                if requested.text(tag::LEVEL).as_deref() == Some("IMAGE") {
                    response.set(tag::SOP_INSTANCE, b"1.2.5.1");
                }
                let bytes = response
                    .encode(Encoding::ImplicitLittle)
                    .expect("short values");
                respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
            }
            respond(association, context, &ask, Status::PENDING, None)?;
            respond(association, context, &ask, Status::SUCCESS, None)?;
        }
    });
    let request = HierarchyRequest::new(uid("1.2"), Detail::Series);
    let found = scu.hierarchy(&node, &request, &Cancel::new()).unwrap();
    assert_eq!(found.series.len(), 1);
    assert_eq!(found.count(), 1);
}

#[test]
fn number_of_responses_is_limited_and_query_can_be_cancelled() {
    let pacs = archive(PYNETDICOM);
    let request = HierarchyRequest::new(uid("1.2.1"), Detail::Instances);
    let scu = pacs.scu();
    // Six responses at series level, six at image level.
    for (limit, is_enough) in [(5, false), (11, false), (12, true)] {
        let request = request.clone().with_max_responses(limit);
        let result = scu.hierarchy(&pacs.node, &request, &Cancel::new());
        match result {
            Ok(_) => assert!(is_enough, "{limit}"),
            Err(ServiceError::TooMany {
                limit: found_limit, ..
            }) => {
                assert_eq!((found_limit, is_enough), (limit, false));
            }
            Err(error) => panic!("{limit}: {error}"),
        }
    }
    let cancel = Cancel::new();
    cancel.cancel();
    let result = scu.hierarchy(&pacs.node, &request, &cancel);
    assert!(matches!(result, Err(ServiceError::Cancelled)));
}

/// The queries at series and image level have all unique keys and no optional ones, so that every
/// server responds.
#[test]
fn series_and_image_queries_are_encoded_as_the_standard_says() {
    let (sent, requested) = std::sync::mpsc::channel();
    let (scu, node) = hostile_node(move |association| {
        loop {
            let Ok((context, ask, identifier)) = request(association, Encoding::ImplicitLittle)
            else {
                return association.release(LONG);
            };
            let level = identifier.text(tag::LEVEL).unwrap_or_default();
            let mut response = Identifier::new();
            response.set(tag::STUDY_UID, b"1.2.1");
            response.set(tag::SERIES_UID, b"1.2.1.7");
            if level == "IMAGE" {
                response.set(tag::SOP_INSTANCE, b"1.2.1.7.1");
            }
            let bytes = response.encode(Encoding::ImplicitLittle);
            let bytes = bytes.expect("short values");
            drop(sent.send(identifier));
            respond(association, context, &ask, Status::PENDING, Some(&bytes))?;
            respond(association, context, &ask, Status::SUCCESS, None)?;
        }
    });
    let request = HierarchyRequest::new(uid("1.2.1"), Detail::Instances);
    let found = scu.hierarchy(&node, &request, &Cancel::new());
    assert_eq!(found.expect("a hierarchy").count(), 1);
    let levels = [
        vec![
            (tag::LEVEL, &b"SERIES"[..]),
            (tag::CHARSET, b"ISO_IR 192"),
            (tag::STUDY_UID, b"1.2.1"),
            (tag::SERIES_UID, b""),
            (tag::SERIES_NUMBER, b""),
            (tag::SERIES_DESCRIPTION, b""),
            (tag::MODALITY, b""),
            (tag::SOP_CLASS, b""),
            (tag::INSTANCES_IN_SERIES, b""),
        ],
        vec![
            (tag::LEVEL, b"IMAGE"),
            (tag::CHARSET, b"ISO_IR 192"),
            (tag::STUDY_UID, b"1.2.1"),
            (tag::SERIES_UID, b"1.2.1.7"),
            (tag::SOP_INSTANCE, b""),
            (tag::INSTANCE_NUMBER, b""),
            (tag::SOP_CLASS, b""),
        ],
    ];
    for keys in levels {
        let requested: Identifier = requested.recv_timeout(LONG).expect("a query arrives");
        for (tag, value) in &keys {
            let found = requested.value(*tag).map(trimmed);
            assert_eq!(found, Some(*value), "{tag}");
        }
        assert_eq!(requested.elements().len(), keys.len(), "{:?}", keys[0]);
    }
}

/// Removes the padding to an even length (PS3.5 section 6.2).
fn trimmed(value: &[u8]) -> &[u8] {
    let [rest @ .., b' ' | 0] = value else {
        return value;
    };
    rest
}
