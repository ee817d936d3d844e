//! What studies are made of, by servers of many manners.

use anon_net::identifier::{Encoding, Identifier, tag};
use anon_net::service::{
    Cancel, Detail, HierarchyRequest, InstanceFilter, ServiceError, StudyHierarchy,
};
use anon_net::{InstanceUid, Status, Uid};

use crate::pacs::{
    CT, DCMQRSCP, LONG, Manners, ORTHANC, PYNETDICOM, Pacs, SR, request, respond, rogue, study,
};

const MANNERS: [(&str, Manners); 3] = [
    ("Orthanc", ORTHANC),
    ("dcmqrscp", DCMQRSCP),
    ("pynetdicom", PYNETDICOM),
];

fn uid(text: &str) -> InstanceUid {
    text.parse().expect("a UID")
}

fn archive(manners: Manners) -> Pacs {
    let studies = vec![
        study(1, "A", &[("CT", 3), ("SR", 1), ("CT", 2)]),
        study(2, "A", &[("MR", 1)]),
    ];
    Pacs::start(manners, studies)
}

fn ask(pacs: &Pacs, request: &HierarchyRequest) -> StudyHierarchy {
    let result = pacs.scu().hierarchy(&pacs.node, request, &Cancel::new());
    result.expect("a hierarchy")
}

#[test]
fn counts_are_right_whatever_the_server_says() {
    for (name, manners) in MANNERS {
        let knows = manners.knows;
        let pacs = archive(manners);
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
        let wanted = if knows {
            (Some("thin"), Some(7))
        } else {
            (None, None)
        };
        assert_eq!(words, wanted, "{name}");
        // One that says the counts is not asked for the instances.
        let asked = pacs.asked().len();
        assert_eq!(asked, if knows { 1 } else { 4 }, "{name}");
        assert!(!format!("{found:?}").contains("1.2.1"), "{name}");
    }
}

#[test]
fn instances_come_once_with_their_series() {
    for (name, manners) in MANNERS {
        let classes = manners.classes;
        let request = HierarchyRequest::new(uid("1.2.1"), Detail::Instances);
        let found = ask(&archive(manners), &request);
        let instances: Vec<_> = found
            .instances()
            .map(|(series, instance)| (series.uid.expose(), instance.uid.expose()))
            .collect();
        let wanted = [
            ("1.2.1.0", "1.2.1.0.0"),
            ("1.2.1.0", "1.2.1.0.1"),
            ("1.2.1.0", "1.2.1.0.2"),
            ("1.2.1.1", "1.2.1.1.0"),
            ("1.2.1.2", "1.2.1.2.0"),
            ("1.2.1.2", "1.2.1.2.1"),
        ];
        assert_eq!(instances, wanted, "{name}");
        let class = found.series[1].sop_class.as_ref().map(Uid::as_str);
        assert_eq!(class, classes.then_some(SR), "{name}");
    }
}

#[test]
fn what_is_not_wanted_is_marked() {
    let class = |uid: &str| uid.parse::<Uid>().expect("a UID");
    for (name, manners) in MANNERS {
        let classes = manners.classes;
        let pacs = archive(manners);
        let ask = |wanted| {
            let request = HierarchyRequest::new(uid("1.2.1"), Detail::Instances);
            let found = ask(&pacs, &request.with_filter(wanted));
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
        // A class that the server does not say is no reason to leave something out.
        let found = ask(InstanceFilter::all().with_sop_classes([class(CT)]));
        let wanted = if classes {
            (vec![false, true, false], 6, 5)
        } else {
            (vec![false; 3], 6, 6)
        };
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn a_study_that_is_not_there_has_no_series() {
    for (name, manners) in MANNERS {
        let request = HierarchyRequest::new(uid("1.2.9"), Detail::Instances);
        let found = ask(&archive(manners), &request);
        assert_eq!((found.series.len(), found.count()), (0, 0), "{name}");
    }
}

/// A server that ignores keys answers what was not asked for; one that is broken leaves out UIDs.
#[test]
fn what_was_not_asked_for_is_left_out() {
    let (scu, node) = rogue(|association| {
        loop {
            let Ok((context, ask, asked)) = request(association, Encoding::ImplicitLittle) else {
                return association.release(LONG);
            };
            let series = ["1.2.5", "", "../..", "1.2.6", "1.2.5"];
            for (n, series) in series.iter().enumerate() {
                let mut answer = Identifier::new();
                let study = if n == 3 { "1.3" } else { "1.2" };
                answer.set(tag::STUDY_UID, study.as_bytes());
                answer.set(tag::SERIES_UID, series.as_bytes());
                answer.set(tag::INSTANCES_IN_SERIES, b"0");
                if asked.text(tag::LEVEL).as_deref() == Some("IMAGE") {
                    answer.set(tag::SOP_INSTANCE, b"1.2.5.1");
                }
                let bytes = answer
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
fn there_is_a_limit_in_all_and_a_cancel() {
    let pacs = archive(PYNETDICOM);
    let request = HierarchyRequest::new(uid("1.2.1"), Detail::Instances);
    let scu = pacs.scu();
    // Six answers at series level, six at image level.
    for (limit, is_enough) in [(5, false), (11, false), (12, true)] {
        let request = request.clone().with_max_responses(limit);
        let result = scu.hierarchy(&pacs.node, &request, &Cancel::new());
        match result {
            Ok(_) => assert!(is_enough, "{limit}"),
            Err(ServiceError::TooMany { limit: said, .. }) => {
                assert_eq!((said, is_enough), (limit, false));
            }
            Err(error) => panic!("{limit}: {error}"),
        }
    }
    let cancel = Cancel::new();
    cancel.cancel();
    let result = scu.hierarchy(&pacs.node, &request, &cancel);
    assert!(matches!(result, Err(ServiceError::Cancelled)));
}

/// What is asked at series and at image level: every key by which a study is told apart, and nothing
/// else, so that a server that knows no more answers too.
#[test]
fn series_and_image_keys_are_written_as_the_standard_says() {
    let (sent, asked) = std::sync::mpsc::channel();
    let (scu, node) = rogue(move |association| {
        loop {
            let Ok((context, ask, identifier)) = request(association, Encoding::ImplicitLittle)
            else {
                return association.release(LONG);
            };
            let level = identifier.text(tag::LEVEL).unwrap_or_default();
            let mut answer = Identifier::new();
            answer.set(tag::STUDY_UID, b"1.2.1");
            answer.set(tag::SERIES_UID, b"1.2.1.7");
            if level == "IMAGE" {
                answer.set(tag::SOP_INSTANCE, b"1.2.1.7.1");
            }
            let bytes = answer.encode(Encoding::ImplicitLittle);
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
            (tag::STUDY_UID, b"1.2.1"),
            (tag::SERIES_UID, b"1.2.1.7"),
            (tag::SOP_INSTANCE, b""),
            (tag::INSTANCE_NUMBER, b""),
            (tag::SOP_CLASS, b""),
        ],
    ];
    for keys in levels {
        let asked: Identifier = asked.recv_timeout(LONG).expect("it was asked");
        for (tag, value) in &keys {
            let found = asked.value(*tag).map(trimmed);
            assert_eq!(found, Some(*value), "{tag}");
        }
        assert_eq!(asked.elements().len(), keys.len(), "{:?}", keys[0]);
    }
}

/// Without the padding to an even length (PS3.5 section 6.2).
fn trimmed(value: &[u8]) -> &[u8] {
    let [rest @ .., b' ' | 0] = value else {
        return value;
    };
    rest
}
