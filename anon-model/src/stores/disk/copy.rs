//! [`DiskStore::copy_to`]: copies a store that is in use.
//!
//! The rows are read in one transaction, so the copy is the store as of one commit, whatever is written
//! meanwhile. The bytes of the file are not copied: another process may be changing them.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction};

use crate::stores::disk::migrate::FORMATS;
use crate::stores::disk::relaxed_backend::RelaxedBackend;
use crate::stores::disk::schema::{
    ACCESSION_STUDIES, ADOPTED, CLASHES, DELETED, DELETED_NAMES, IDS, INSTANCES, INTENTS, MEMBERS,
    META, NAMES, OFFSETS, PAIRS, PATIENT_STUDIES, PATIENTS, REFERENCES, REMARK_TOTALS, REMARKS,
    RULES, SERIES, STUDIES, STUDY_SERIES, VARIANTS,
};
use crate::stores::disk::{DiskOptions, DiskStore, OpenError, platform};
use crate::{BackendError, Remedy};

impl DiskStore {
    /// Copies the store as of its last commit into a new file with mode 0600, and syncs it. Another
    /// process may write the store at the same time. The copy has the same id and group.
    ///
    /// # Errors
    /// If there is a file, if the store cannot be read, or if the copy cannot be written. The new file
    /// is left as it is then.
    pub fn copy_to(&self, path: &Path) -> Result<(), OpenError> {
        let read = self.ledger.tables().begin_read()?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = platform::private(&mut options)
            .open(path)
            .map_err(OpenError::Io)?;
        let backend = FileBackend::new(file.try_clone().map_err(OpenError::Io)?)?;
        // One sync of the whole file replaces those of the commits.
        let builder = DiskOptions::default().builder();
        let copy = builder.create_with_backend(RelaxedBackend(backend))?;
        let mut write = copy.begin_write()?;
        write.set_quick_repair(true);
        copy_tables(&read, &write)?;
        write.commit()?;
        drop(copy);
        file.sync_all().map_err(OpenError::Io)?;
        platform::sync_directory_of(path).map_err(OpenError::Io)
    }
}

/// Copies each of the tables, and fails if the store has another one.
fn copy_tables(read: &ReadTransaction, write: &WriteTransaction) -> Result<(), OpenError> {
    macro_rules! copy {
        ($($table:ident)+) => {
            [$(copy_table(read, write, $table)?),+].len()
        };
    }
    let copied = copy!(
        FORMATS META IDS PAIRS NAMES PATIENTS STUDIES PATIENT_STUDIES SERIES STUDY_SERIES INSTANCES
        MEMBERS REFERENCES OFFSETS ADOPTED REMARKS REMARK_TOTALS DELETED DELETED_NAMES
        ACCESSION_STUDIES VARIANTS CLASHES INTENTS RULES
    );
    if read.list_tables()?.count() == copied {
        return Ok(());
    }
    let unknown = io::Error::other("the lookup store has a table that is not copied");
    Err(BackendError::new(Remedy::Stop, unknown).into())
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    write: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), OpenError> {
    let from = read.open_table(table)?;
    let mut to = write.open_table(table)?;
    for row in from.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}
