//! What a pseudonym is and how it is made: identifying values, UIDs, schemes and modalities.

pub mod modality;
pub mod phi;
pub mod pseudonym;
pub mod scheme;
pub mod uid;
