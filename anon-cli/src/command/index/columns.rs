//! The columns of the index: those of V17, and others on demand.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use anon_model::{PhiIndex, StudyRow};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value};

use super::exposed;
use crate::args::Column;

/// The columns of V17, in its order.
pub(super) const V17_COLUMNS: [&str; 12] = [
    "ANON-PatientID",
    "ANON-PatientName",
    "PHI-PatientName",
    "PHI-PatientID",
    "DateOffset",
    "PHI-StudyDate",
    "ANON-Accession",
    "PHI-Accession",
    "ANON-StudyInstanceUID",
    "PHI-StudyInstanceUID",
    "Number of Series",
    "Number of Instances",
];

/// The index of the date offset in [`V17_COLUMNS`].
pub(super) const DATE_OFFSET: usize = 4;

/// Separates the values of several series in one cell, as in DICOM (PS3.5 section 6.2).
const SEPARATOR: &str = "\\";

impl Column {
    /// Returns the caption in files.
    fn caption(self) -> &'static str {
        match self {
            Self::BirthDate => "PHI-BirthDate",
            Self::Sex => "PHI-Sex",
            Self::EthnicGroup => "PHI-EthnicGroup",
            Self::StudyDescription => "PHI-StudyDescription",
            Self::Modality => "Modality",
            Self::SeriesDescription => "PHI-SeriesDescription",
            Self::Source => "PHI-Source",
            Self::Expected => "Number of Instances Expected",
        }
    }

    /// Returns the header in the table for people.
    fn header(self) -> &'static str {
        match self {
            Self::BirthDate => "birth date",
            Self::Sex => "sex",
            Self::EthnicGroup => "ethnic group",
            Self::StudyDescription => "study description",
            Self::Modality => "modality",
            Self::SeriesDescription => "series description",
            Self::Source => "source",
            Self::Expected => "expected",
        }
    }

    /// Returns the name of the JSON field.
    fn field(self) -> &'static str {
        match self {
            Self::BirthDate => "birth_date",
            Self::Sex => "sex",
            Self::EthnicGroup => "ethnic_group",
            Self::StudyDescription => "study_description",
            Self::Modality => "modality",
            Self::SeriesDescription => "series_description",
            Self::Source => "source",
            Self::Expected => "expected",
        }
    }

    fn is_of_series(self) -> bool {
        matches!(self, Self::Modality | Self::SeriesDescription)
    }
}

/// The further columns of an index, in the order in which they were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns(Vec<Column>);

impl Columns {
    /// Takes the values of `--columns`: none asks for all.
    pub(super) fn new(asked: Option<&[Column]>) -> Self {
        let chosen: &[Column] = match asked {
            None => &[],
            Some([]) => Column::value_variants(),
            Some(asked) => asked,
        };
        let mut columns = Vec::new();
        for column in chosen {
            if !columns.contains(column) {
                columns.push(*column);
            }
        }
        Self(columns)
    }

    /// Returns the captions of all columns in files.
    pub(super) fn captions(&self) -> Vec<&'static str> {
        let further = self.0.iter().map(|column| column.caption());
        V17_COLUMNS.into_iter().chain(further).collect()
    }

    /// Returns the headers of the further columns in the table for people.
    pub(super) fn headers(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|column| column.header())
    }

    /// Returns the cells of a study.
    pub(super) fn cells(
        &self,
        index: &dyn PhiIndex,
        row: &StudyRow,
    ) -> anyhow::Result<FurtherCells> {
        let series = if self.0.iter().any(|column| column.is_of_series()) {
            SeriesValues::of(index, &row.study)?
        } else {
            SeriesValues::default()
        };
        let cells = self.0.iter().map(|column| {
            let person = &row.patient_phi;
            let text = match column {
                Column::BirthDate => exposed(person.birth_date.clone()),
                Column::Sex => exposed(person.sex.clone()),
                Column::EthnicGroup => exposed(person.ethnic_group.clone()),
                Column::StudyDescription => exposed(row.phi.description.clone()),
                Column::Modality => joined(&series.modalities),
                Column::SeriesDescription => joined(&series.descriptions),
                Column::Source => row.phi.source.expose().clone(),
                Column::Expected => row.target.to_string(),
            };
            (*column, text)
        });
        Ok(FurtherCells(cells.collect()))
    }
}

/// The cells of the further columns of one study.
#[derive(Debug, Default)]
pub(super) struct FurtherCells(Vec<(Column, String)>);

impl FurtherCells {
    pub(super) fn into_texts(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(_, text)| text)
    }
}

impl Serialize for FurtherCells {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.iter().map(|(column, text)| {
            let value = match column {
                Column::Expected => text.parse::<u64>().map_or(Value::Null, Value::from),
                _ => Value::from(text.as_str()),
            };
            (column.field().to_owned(), value)
        });
        fields.collect::<Map<_, _>>().serialize(serializer)
    }
}

/// The values of the series of a study, each once.
#[derive(Debug, Default)]
struct SeriesValues {
    modalities: Vec<String>,
    descriptions: Vec<String>,
}

impl SeriesValues {
    fn of(index: &dyn PhiIndex, study: &str) -> anyhow::Result<Self> {
        let mut values = Self::default();
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        index.series(study, &mut |series| {
            let found = [series.phi.modality, series.phi.description].map(exposed);
            let lists = [&mut values.modalities, &mut values.descriptions];
            for ((value, seen), list) in found.into_iter().zip(&mut seen).zip(lists) {
                if !value.is_empty() && seen.insert(value.clone()) {
                    list.push(value);
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(values)
    }
}

fn joined(values: &[String]) -> String {
    values.join(SEPARATOR)
}
