//! Tables of the standard that two leaves have agree with each other.

use std::collections::BTreeSet;

use anon_model::modality;
use anon_net::context;

/// A receiver built with anon-net accepts what a project can name.
#[test]
fn a_receiver_accepts_every_class_and_transfer_syntax_of_the_settings() {
    let of_net = |uids: &mut dyn Iterator<Item = anon_net::Uid>| -> BTreeSet<String> {
        uids.map(|uid| uid.to_string()).collect()
    };
    let of_model = |rows: &mut dyn Iterator<Item = (&'static str, &'static str)>| {
        rows.map(|(uid, _)| uid.to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(
        of_net(&mut context::storage_classes()),
        of_model(&mut modality::storage_classes())
    );
    assert_eq!(
        of_net(&mut context::transfer_syntaxes()),
        of_model(&mut modality::transfer_syntaxes())
    );
}
