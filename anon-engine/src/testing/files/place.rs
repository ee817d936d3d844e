//! [`Place`]: identifies a synthetic object. [`Noise`]: reproducible noise for its pixels.

/// Identifies a synthetic object by a seed and the numbers of its patient, study, series and
/// instance.
///
/// Equal places give equal UIDs and equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "plain numbers")]
pub struct Place {
    /// Objects under different seeds share no UIDs.
    pub seed: u64,
    /// Patient number.
    pub patient: u32,
    /// Study number, within the patient.
    pub study: u32,
    /// Series number, within the study.
    pub series: u32,
    /// Instance number, within the series.
    pub instance: u32,
}

impl Place {
    /// Returns the first instance of the first series, study and patient under this seed.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            patient: 1,
            study: 1,
            series: 1,
            instance: 1,
        }
    }

    /// Returns the place with this patient number.
    #[must_use]
    pub const fn patient(self, patient: u32) -> Self {
        Self { patient, ..self }
    }

    /// Returns the place with this study number.
    #[must_use]
    pub const fn study(self, study: u32) -> Self {
        Self { study, ..self }
    }

    /// Returns the place with this series number.
    #[must_use]
    pub const fn series(self, series: u32) -> Self {
        Self { series, ..self }
    }

    /// Returns the place with this instance number.
    #[must_use]
    pub const fn instance(self, instance: u32) -> Self {
        Self { instance, ..self }
    }

    /// Returns the `n`-th object of a collection, counted from 0. The collection has `per_series`
    /// instances a series, four series a study and one study a patient.
    #[must_use]
    pub const fn nth(seed: u64, n: u32, per_series: u32) -> Self {
        let series = n / per_series;
        Self {
            seed,
            patient: series / 4 + 1,
            study: 1,
            series: series % 4 + 1,
            instance: n % per_series + 1,
        }
    }

    /// Patient ID, at most 16 characters.
    pub fn patient_id(&self) -> String {
        format!("SYN{:05}", self.patient)
    }

    /// Patient's Name, in the form of PS3.5 section 6.2 (PN).
    pub fn patient_name(&self) -> String {
        const FAMILY: [&str; 6] = [
            "Quillfeather",
            "Ambersmith",
            "Thornwick",
            "Oakhollow",
            "Marshgold",
            "Vexley",
        ];
        const GIVEN: [&str; 5] = ["Isolde", "Caspian", "Tamsin", "Leander", "Ottoline"];
        let nth = self.patient as usize;
        let family = FAMILY.iter().cycle().nth(nth % FAMILY.len()).unwrap_or(&"");
        let given = GIVEN.iter().cycle().nth(nth % GIVEN.len()).unwrap_or(&"");
        format!("{family}^{given}^{}", self.patient)
    }

    /// Accession Number, at most 16 characters.
    pub fn accession(&self) -> String {
        format!("ACC{:04}{:03}", self.patient, self.study)
    }

    /// Study Instance UID.
    pub fn study_uid(&self) -> String {
        self.uid_of(&[1, self.patient, self.study])
    }

    /// Series Instance UID.
    pub fn series_uid(&self) -> String {
        self.uid_of(&[2, self.patient, self.study, self.series])
    }

    /// SOP Instance UID.
    pub fn instance_uid(&self) -> String {
        self.uid_of(&[3, self.patient, self.study, self.series, self.instance])
    }

    /// Another UID of the study, chosen by a number (frames of reference, references).
    pub fn other_uid(&self, number: u32) -> String {
        self.uid_of(&[4, self.patient, self.study, number])
    }

    /// Another UID of the instance, chosen by a number.
    pub fn own_uid(&self, number: u32) -> String {
        self.uid_of(&[
            5,
            self.patient,
            self.study,
            self.series,
            self.instance,
            number,
        ])
    }

    /// A UID under the root 2.25, which needs no registration (PS3.5 section B.2).
    fn uid_of(&self, parts: &[u32]) -> String {
        let mut noise = Noise::new(self.seed);
        let (mut high, mut low) = (noise.next_u64(), noise.next_u64());
        for part in parts {
            high = Noise::new(high ^ u64::from(*part)).next_u64();
            low = Noise::new(low.rotate_left(17) ^ u64::from(*part)).next_u64();
        }
        // Kept below 2^126, so that every one has at most 38 digits.
        format!("2.25.{}", (u128::from(high >> 2) << 64) | u128::from(low))
    }

    /// Returns noise that depends on the place.
    pub fn noise(&self) -> Noise {
        let mut state = self.seed;
        for part in [self.patient, self.study, self.series, self.instance] {
            state = Noise::new(state ^ u64::from(part)).next_u64();
        }
        Noise::new(state)
    }
}

/// Reproducible pseudo-random numbers (the `SplitMix64` sequence).
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// Starts the sequence with this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, which must not be 0.
    pub const fn below(&mut self, bound: u32) -> u32 {
        // The remainder of 32 bits always fits.
        #[expect(clippy::cast_possible_truncation, reason = "below a u32")]
        {
            (self.next_u64() % bound as u64) as u32
        }
    }

    /// Fills a buffer with noise.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(bytes.get(..chunk.len()).unwrap_or(&bytes));
        }
    }

    /// Returns `count` bytes of noise.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes);
        bytes
    }
}
