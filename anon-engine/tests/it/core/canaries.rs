//! Values that the built-in rules remove are not in the output, and pixel data is unchanged.

use std::collections::BTreeSet;
use std::io::Read;

use anon_engine::testing::files::{
    Canaries, Canary, DataSet, Form, Place, Syntax, ct_small, everything_phi, mr_multiframe, sr,
    us_colour,
};
use anon_script::Rules;
use anon_script::rules::{Action, Element};
use dicom_core::Tag;

use super::build::{Outcome, data_set_of, holds, rsna_v17, run};

const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const PLAIN: [Syntax; 4] = [
    Syntax::ImplicitLittle,
    Syntax::ExplicitLittle,
    Syntax::ExplicitBig,
    Syntax::Deflated,
];

/// Returns true if the rules keep the element and all sequences around it.
fn is_kept(rules: &dyn Rules, path: &[Tag]) -> bool {
    // Every output states its own method, whatever the input says (PS3.15 section E.1.1).
    let is_ours = matches!(path, [Tag(0x0012, 0x0062..=0x0064), ..]);
    (0..)
        .zip(path)
        .all(|(depth, tag)| matches!(rules.action(Element::nested(*tag, depth)), Action::Keep))
        && !is_ours
}

/// Returns the data set of an output, inflated if necessary.
fn plain(output: &[u8], syntax: Syntax) -> Outcome<Vec<u8>> {
    let data_set = data_set_of(output)?;
    if syntax != Syntax::Deflated {
        return Ok(data_set.to_vec());
    }
    let mut inflated = Vec::new();
    flate2::read::DeflateDecoder::new(data_set).read_to_end(&mut inflated)?;
    Ok(inflated)
}

/// Checks that the output holds exactly the canaries that the rules keep, that its file meta holds
/// none, and that pixel data is unchanged.
#[track_caller]
fn check(name: &str, object: &DataSet, canaries: &Canaries, form: &Form) -> Outcome {
    let rules = anon_script::builtin("rsna-v17").ok_or("rsna-v17 is not built in")?;
    let syntax = form.syntax;
    let case = format!("{name} in {} with {:?} lengths", syntax.uid(), form.lengths);
    let output = run(&rsna_v17()?, &object.write_as(form))
        .map_err(|refusal| format!("{case}: {refusal}"))?;
    let data_set = plain(&output, syntax)?;
    let found: BTreeSet<Vec<(u16, u16)>> = paths(canaries.found_in(&data_set));
    let kept = canaries
        .iter()
        .filter(|canary| is_kept(&rules, canary.path()));
    let kept = paths(kept);
    let leaked: Vec<_> = found.difference(&kept).collect();
    let lost: Vec<_> = kept.difference(&found).collect();
    assert!(
        leaked.is_empty(),
        "{case}: removed and there: {leaked:04X?}"
    );
    assert!(lost.is_empty(), "{case}: kept and not there: {lost:04X?}");
    let (head, _) = output.split_at(output.len() - data_set_of(&output)?.len());
    let in_head = paths(canaries.found_in(head));
    assert!(in_head.is_empty(), "{case}: in the head: {in_head:04X?}");
    if let Some(pixels) = object.get(PIXELS) {
        let alone = DataSet::new().push_raw(PIXELS, pixels.vr, pixels.value.clone());
        let written = match syntax {
            Syntax::Deflated => Syntax::ExplicitLittle,
            other => other,
        };
        let pixels = alone.write_data_set(written);
        assert!(pixels.len() > 200, "{case}: no pixels to speak of");
        assert!(holds(&data_set, &pixels), "{case}: pixel data differs");
    }
    Ok(())
}

fn paths<'c>(canaries: impl IntoIterator<Item = &'c Canary>) -> BTreeSet<Vec<(u16, u16)>> {
    let path = |canary: &Canary| canary.path().iter().map(|tag| (tag.0, tag.1)).collect();
    canaries.into_iter().map(path).collect()
}

fn forms(syntaxes: &[Syntax]) -> impl Iterator<Item = Form> {
    syntaxes
        .iter()
        .flat_map(|syntax| [Form::new(*syntax), Form::new(*syntax).undefined_lengths()])
}

#[test]
fn no_removed_standard_element_is_in_the_output() -> Outcome {
    let (object, canaries) = Canaries::in_every_standard_element(ct_small(&Place::new(1)));
    assert!(canaries.len() > 4_000, "{}", canaries.len());
    for form in forms(&PLAIN) {
        check("the dictionary", &object, &canaries, &form)?;
    }
    Ok(())
}

#[test]
fn nothing_removed_is_in_the_output_of_any_case() -> Outcome {
    let place = Place::new(1);
    for (name, mut object, syntaxes) in [
        ("everything_phi", everything_phi(&place), &PLAIN[..]),
        ("mr_multiframe", mr_multiframe(&place, 3, 16), &PLAIN),
        ("sr", sr(&place), &PLAIN),
        ("us_colour", us_colour(&place), &[Syntax::RLE]),
    ] {
        let canaries = Canaries::plant(&mut object);
        assert!(canaries.len() > 30, "{name}: {}", canaries.len());
        for form in forms(syntaxes) {
            check(name, &object, &canaries, &form)?;
        }
    }
    Ok(())
}
