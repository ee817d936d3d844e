//! The pure core: plan and apply over bytes.

#![expect(
    clippy::cast_possible_truncation,
    reason = "lengths of small fixtures, and noise"
)]

mod build;
#[cfg(feature = "testing")]
mod canaries;
mod character_sets;
mod encodings;
mod hostile;
mod identity;
mod kept;
mod many_values;
mod object_rules;
mod outputs;
mod pixel_data;
mod properties;
mod reasons;
mod remarks;
mod tolerance;
mod transfer_syntaxes;
#[cfg(feature = "testing")]
mod wrong_lengths;
