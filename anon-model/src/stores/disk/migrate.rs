//! Migration: brings a file of an older format to the current one in one transaction.

use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};

use crate::stores::disk::{OpenError, format_3, schema};

/// The format that this program writes.
pub(crate) const FORMAT: u64 = 3;

/// The table that holds the version of the file.
pub(crate) const FORMATS: TableDefinition<'_, &str, u64> = TableDefinition::new("format");

/// Migrates a file from one version to the next.
type Step = fn(&WriteTransaction) -> Result<(), OpenError>;

/// The steps from version n to n + 1, starting at version 1, the first that was released.
const STEPS: &[Step] = &[schema::add_adopted, format_3::migrate];

/// Brings a database to the current format. `prepare` creates the tables of an empty one.
pub(crate) fn migrate(
    database: &Database,
    prepare: fn(&WriteTransaction) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    migrate_from(database, 1, STEPS, prepare)
}

/// `first` is the version that the first step starts from.
fn migrate_from(
    database: &Database,
    first: u64,
    steps: &[Step],
    prepare: fn(&WriteTransaction) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let current = first + steps.len() as u64;
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    let formats = write.open_table(FORMATS)?;
    let found = formats.get("format")?.map(|version| version.value());
    drop(formats);
    match found {
        Some(version) if version == current => {
            write.abort()?;
            return Ok(());
        }
        Some(version) if version > current => {
            write.abort()?;
            return Err(OpenError::Newer {
                found: version,
                known: current,
            });
        }
        Some(version) => {
            let skipped = version
                .checked_sub(first)
                .and_then(|skip| usize::try_from(skip).ok());
            let skipped = skipped.ok_or(OpenError::Foreign)?;
            for step in steps.iter().skip(skipped) {
                step(&write)?;
            }
        }
        None => {
            if write.list_tables()?.count() > 1 {
                return Err(OpenError::Foreign);
            }
            prepare(&write)?;
        }
    }
    write.open_table(FORMATS)?.insert("format", current)?;
    write.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::ReadableDatabase;
    use redb::backends::InMemoryBackend;

    use super::*;

    const ROWS: TableDefinition<'_, u64, u64> = TableDefinition::new("rows");

    fn database() -> Database {
        Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap()
    }

    fn prepare(write: &WriteTransaction) -> Result<(), OpenError> {
        write.open_table(ROWS)?.insert(1, 10)?;
        Ok(())
    }

    fn double(write: &WriteTransaction) -> Result<(), OpenError> {
        let mut rows = write.open_table(ROWS)?;
        let value = rows.get(1)?.map_or(0, |value| value.value());
        rows.insert(1, value * 2)?;
        Ok(())
    }

    fn fail(write: &WriteTransaction) -> Result<(), OpenError> {
        double(write)?;
        Err(OpenError::Foreign)
    }

    fn row(database: &Database) -> u64 {
        let read = database.begin_read().unwrap();
        read.open_table(ROWS)
            .unwrap()
            .get(1)
            .unwrap()
            .unwrap()
            .value()
    }

    #[test]
    fn version_0_becomes_1_once_and_newer_is_refused() {
        let database = database();
        migrate_from(&database, 0, &[], prepare).unwrap();
        assert_eq!(row(&database), 10);
        migrate_from(&database, 0, &[double], prepare).unwrap();
        assert_eq!(row(&database), 20);
        migrate_from(&database, 0, &[double], prepare).unwrap();
        assert_eq!(row(&database), 20, "not twice");
        let newer = migrate_from(&database, 0, &[], prepare).unwrap_err();
        assert!(
            matches!(newer, OpenError::Newer { found: 1, known: 0 }),
            "{newer}"
        );
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let database = database();
        migrate_from(&database, 0, &[], prepare).unwrap();
        assert!(migrate_from(&database, 0, &[double, fail], prepare).is_err());
        assert_eq!(row(&database), 10);
        migrate_from(&database, 0, &[double, double], prepare).unwrap();
        assert_eq!(row(&database), 40);
    }

    #[test]
    fn a_database_of_something_else_is_refused() {
        let database = database();
        let write = database.begin_write().unwrap();
        write.open_table(ROWS).unwrap().insert(1, 1).unwrap();
        write.commit().unwrap();
        assert!(matches!(
            migrate(&database, prepare),
            Err(OpenError::Foreign)
        ));
        assert_eq!(row(&database), 1);
    }
}
