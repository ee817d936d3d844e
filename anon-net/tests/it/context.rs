//! Presentation contexts (PS3.8 section 9.3.2.2 and Table 9-18).

use anon_net::context::{
    ContextResponse, ContextResult, NegotiatedContexts, storage_classes, transfer_syntaxes,
};
use anon_net::{ContextId, Contexts, Error, SupportedContexts, Uid};
use proptest::prelude::*;

fn uid(n: usize) -> Uid {
    Uid::new(&format!("1.2.{n}")).expect("a UID")
}

#[test]
fn there_are_128_odd_context_ids() {
    let mut contexts = Contexts::new();
    for n in 0..128 {
        let id = contexts.add(uid(n), vec![uid(1000)]).expect("a context");
        assert_eq!(usize::from(id.get()), 2 * n + 1);
    }
    let error = contexts
        .add(uid(128), vec![uid(1000)])
        .expect_err("one too many");
    assert!(
        matches!(
            error,
            Error::Limit {
                limit: 128,
                found: 129,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(contexts.len(), 128);
    assert!(
        Contexts::new().add(uid(1), vec![]).is_err(),
        "no transfer syntax"
    );
    for id in 0..=255 {
        assert_eq!(
            ContextId::new(id).map(ContextId::get),
            (id % 2 == 1).then_some(id)
        );
    }
}

#[test]
fn acceptor_responds_to_each_context() {
    let (class, other, le, be, jpeg) = (uid(1), uid(2), uid(10), uid(11), uid(12));
    let mut contexts = Contexts::new();
    for (abstract_syntax, offered) in [
        (&class, vec![&be, &le]),
        (&class, vec![&jpeg]),
        (&other, vec![&le]),
        (&class, vec![&be]),
    ] {
        let offered = offered.into_iter().cloned().collect();
        contexts
            .add(abstract_syntax.clone(), offered)
            .expect("a context");
    }
    let supported = SupportedContexts::new().with(class.clone(), vec![le.clone(), be.clone()]);
    let results = supported.answer(&contexts);
    let kinds: Vec<_> = results
        .iter()
        .map(|it| (it.id.get(), it.result.clone()))
        .collect();
    assert_eq!(
        kinds,
        [
            (1, ContextResult::Accepted(le.clone())),
            (3, ContextResult::TransferSyntaxesNotSupported),
            (5, ContextResult::AbstractSyntaxNotSupported),
            (7, ContextResult::Accepted(be.clone())),
        ]
    );
    assert_eq!(
        results
            .iter()
            .map(|it| it.result.code())
            .collect::<Vec<_>>(),
        [0, 4, 3, 0]
    );
    let negotiated = NegotiatedContexts::new(&contexts, &results).expect("valid responses");
    assert_eq!(negotiated.len(), 2);
    let found = negotiated
        .find(&class, &be)
        .expect("a context for big endian");
    assert_eq!(found.id.get(), 7);
    assert_eq!(negotiated.find(&class, &jpeg), None);
    assert_eq!(negotiated.get(found.id), Some(found));
}

#[test]
fn invalid_acceptance_is_detected() {
    let mut contexts = Contexts::new();
    let id = contexts.add(uid(1), vec![uid(10)]).expect("a context");
    let stray = ContextId::new(3).expect("an odd id");
    let accept = |id, n| ContextResponse {
        id,
        result: ContextResult::Accepted(uid(n)),
    };
    let reject = |id| ContextResponse {
        id,
        result: ContextResult::NoReason,
    };
    for (what, results) in [
        ("a syntax that was not offered", vec![accept(id, 11)]),
        (
            "a context that was not proposed",
            vec![accept(id, 10), reject(stray)],
        ),
        ("two responses", vec![accept(id, 10), accept(id, 10)]),
    ] {
        let result = NegotiatedContexts::new(&contexts, &results);
        assert!(
            matches!(result, Err(Error::Protocol { .. })),
            "{what}: {result:?}"
        );
    }
    assert!(
        NegotiatedContexts::new(&contexts, &[])
            .expect("a missing response is a rejection")
            .is_empty()
    );
    assert!(
        NegotiatedContexts::new(&contexts, &[reject(id)])
            .expect("a rejection")
            .is_empty()
    );
}

proptest! {
    /// The negotiated transfer syntax is always in both lists.
    #[test]
    fn negotiated_transfer_syntax_is_in_both_lists(
        proposed in proptest::collection::vec((0..6usize, proptest::collection::vec(10..16usize, 1..4)), 0..20),
        supported in proptest::collection::vec((0..6usize, proptest::collection::vec(10..16usize, 0..4)), 0..6),
    ) {
        let mut contexts = Contexts::new();
        for (class, syntaxes) in &proposed {
            contexts.add(uid(*class), syntaxes.iter().map(|n| uid(*n)).collect()).expect("a context");
        }
        let ours = supported.iter().fold(SupportedContexts::new(), |all, (class, syntaxes)| {
            all.with(uid(*class), syntaxes.iter().map(|n| uid(*n)).collect())
        });
        let last: std::collections::BTreeMap<_, _> = supported.iter().cloned().collect();
        let negotiated = NegotiatedContexts::new(&contexts, &ours.answer(&contexts)).expect("valid responses");
        for (i, (class, syntaxes)) in proposed.iter().enumerate() {
            let id = ContextId::new(u8::try_from(2 * i + 1).expect("small")).expect("odd");
            let common = last.get(class).and_then(|ours| ours.iter().find(|s| syntaxes.contains(s)));
            let got = negotiated.get(id).map(|accepted| accepted.transfer_syntax.clone());
            prop_assert_eq!(got, common.map(|n| uid(*n)));
        }
    }
}

#[test]
fn a_receiver_of_everything_needs_no_list_of_its_own() {
    let supported = SupportedContexts::storage();
    let syntaxes: Vec<Uid> = transfer_syntaxes().collect();
    let classes: Vec<Uid> = storage_classes().collect();
    assert!(classes.is_sorted_by(|a, b| a != b) && classes.len() > 200);
    // Explicit VR little endian is accepted before the rest, whatever the order of the offer.
    let offered: Vec<Uid> = syntaxes.iter().rev().cloned().collect();
    for some in classes.chunks(Contexts::MAX) {
        let mut contexts = Contexts::new();
        for class in some {
            contexts
                .add(class.clone(), offered.clone())
                .expect("a context");
        }
        for response in supported.answer(&contexts) {
            assert_eq!(
                response.result,
                ContextResult::Accepted(syntaxes[0].clone())
            );
        }
    }
    let mut single = Contexts::new();
    for syntax in &syntaxes {
        single
            .add(classes[0].clone(), vec![syntax.clone()])
            .expect("a context");
    }
    let verification = Uid::new("1.2.840.10008.1.1").expect("a UID");
    let implicit = Uid::new("1.2.840.10008.1.2").expect("a UID");
    single.add(verification, vec![implicit]).expect("a context");
    let responses = supported.answer(&single);
    assert!(
        responses
            .iter()
            .all(|it| matches!(it.result, ContextResult::Accepted(_)))
    );
}
