//! The digests of what outputs were made from.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::transactions::{replaceable, replacement};
use super::{Outcome, assign, import, wanted};
use crate::{LookupStore, OutputDigest, StoredOutput};

/// Returns the digests of a patient's outputs by path.
fn outputs(store: &dyn LookupStore, patient: &str) -> Outcome<BTreeMap<[String; 4], OutputDigest>> {
    let mut all = BTreeMap::new();
    store.outputs(patient, &mut |StoredOutput { names, digest }| {
        all.insert(names, digest);
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

pub(super) fn outputs_have_the_digest_of_their_original(store: &dyn LookupStore) -> Outcome {
    let objects = [
        wanted("P", "1.1", "1.2", "1.3"),
        wanted("P", "1.1", "1.2", "1.4"),
        wanted("P", "2.1", "2.2", "2.3"),
        wanted("", "3.1", "3.2", "3.3"),
    ];
    let names = import(store, &objects)?;
    let of_patient = outputs(store, &names[0].patient)?;
    let paths: Vec<_> = of_patient.keys().map(|path| path[3].as_str()).collect();
    let mut expected = [0, 1, 2].map(|n: usize| names[n].instance.as_str());
    expected.sort_unstable();
    assert_eq!(paths, expected);
    let mut originals: Vec<_> = of_patient.values().map(|digest| digest.original).collect();
    originals.sort_unstable();
    originals.dedup();
    assert_eq!(originals.len(), 3, "each original has its own");
    assert_eq!(outputs(store, &names[0].patient)?, of_patient, "for ever");
    assert_eq!(outputs(store, &names[3].patient)?.len(), 1);
    assert_eq!(outputs(store, "99.99-000077")?.len(), 0);
    let mut visits = 0;
    store.outputs(&names[0].patient, &mut |_| {
        visits += 1;
        ControlFlow::Break(())
    })?;
    assert_eq!(visits, 1, "visits end at a break");
    let deleted = store
        .delete_patient(&names[0].patient)?
        .ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    assert_eq!(outputs(store, &names[0].patient)?.len(), 0);
    Ok(())
}

pub(super) fn digest_of_a_replaced_output_has_another_version(store: &dyn LookupStore) -> Outcome {
    let (names, other) = replaceable(store)?;
    let find = || -> Outcome<OutputDigest> {
        let all = outputs(store, &names.patient)?;
        let mut found = all.iter().filter(|(path, _)| path[3] == names.instance);
        Ok(*found.next().ok_or("no output")?.1)
    };
    let before = find()?;
    let assigned = assign(store, &other)?;
    let group = store.commit(&[replacement(&other, assigned)])?;
    // The file is still the one before, or the new one.
    let unsettled = find()?;
    store.settle(group, &[])?;
    store.flush()?;
    let after = find()?;
    for digest in [unsettled, after] {
        assert_eq!(digest.original, before.original, "the same original");
        assert_ne!(digest.version, before.version, "other content");
    }
    assert_ne!(unsettled.version, after.version);
    Ok(())
}

/// Objects of two stores never pass for each other.
pub(super) fn stores_have_different_digests(
    one: &dyn LookupStore,
    another: &dyn LookupStore,
) -> Outcome {
    let object = [wanted("P", "1.1", "1.2", "1.3")];
    let names = import(one, &object)?.remove(0);
    assert_eq!(import(another, &object)?.remove(0), names, "one pseudonym");
    let [one, another] = [one, another].map(|store| outputs(store, &names.patient));
    let (one, another) = (one?, another?);
    assert_eq!(one.len(), 1);
    assert!(one.keys().eq(another.keys()));
    let original = |digest: &OutputDigest| digest.original;
    assert_ne!(
        one.values().map(original).next(),
        another.values().map(original).next()
    );
    Ok(())
}

/// A scheme gives an original its pseudonyms again; the rules may have changed.
pub(super) fn output_that_is_made_again_has_another_version(store: &dyn LookupStore) -> Outcome {
    let object = [wanted("P", "1.1", "1.2", "1.3")];
    let names = import(store, &object)?.remove(0);
    let before = outputs(store, &names.patient)?;
    let deleted = store.delete_patient(&names.patient)?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    assert_eq!(import(store, &object)?.remove(0), names);
    let after = outputs(store, &names.patient)?;
    let (before, after) = (before.values().next(), after.values().next());
    let (before, after) = before.zip(after).ok_or("no output")?;
    assert_eq!(after.original, before.original);
    assert_ne!(after.version, before.version);
    Ok(())
}
