//! Statuses (PS3.7 Annex C, PS3.4 Table B.2-1).

use anon_net::scp::failure_status;
use anon_net::{BackendError, Outcome, Remedy, Status, StatusClass};

#[test]
fn each_status_has_its_class() {
    for (code, class) in [
        (0x0000, StatusClass::Success),
        (0x0001, StatusClass::Warning),
        (0x0107, StatusClass::Warning),
        (0x0116, StatusClass::Warning),
        (0xB000, StatusClass::Warning),
        (0xBFFF, StatusClass::Warning),
        (0xFE00, StatusClass::Cancel),
        (0xFF00, StatusClass::Pending),
        (0xFF01, StatusClass::Pending),
        (0x0110, StatusClass::Failure),
        (0x0122, StatusClass::Failure),
        (0x0124, StatusClass::Failure),
        (0xA700, StatusClass::Failure),
        (0xA900, StatusClass::Failure),
        (0xC000, StatusClass::Failure),
        (0xCFFF, StatusClass::Failure),
        // Not listed: never counts as success.
        (0x0002, StatusClass::Failure),
        (0x8000, StatusClass::Failure),
        (0xFE01, StatusClass::Failure),
        (0xFF02, StatusClass::Failure),
        (0xFFFF, StatusClass::Failure),
    ] {
        assert_eq!(Status::new(code).class(), class, "{code:04X}");
    }
    assert_eq!(Status::OUT_OF_RESOURCES.to_string(), "A700");
}

#[test]
fn each_outcome_has_its_status() {
    for (outcome, code) in [
        (Outcome::Stored, Some(0x0000)),
        (Outcome::AlreadyStored, Some(0x0000)),
        (Outcome::Quarantined, Some(0x0000)),
        (Outcome::OutOfResources, Some(0xA700)),
        (Outcome::Mismatch, Some(0xA900)),
        (Outcome::CannotUnderstand, Some(0xC210)),
        (Outcome::ClassNotSupported, Some(0x0122)),
        (Outcome::BrokenOff, None),
    ] {
        assert_eq!(outcome.status().map(Status::code), code, "{outcome:?}");
    }
    for (remedy, code) in [
        (Remedy::Retry, 0xA700),
        (Remedy::Stop, 0xA700),
        (Remedy::Skip, 0xC210),
    ] {
        let status = failure_status(&BackendError::new(remedy, "no"));
        assert_eq!(status.code(), code, "{remedy:?}");
        assert_eq!(status.class(), StatusClass::Failure, "{remedy:?}");
    }
}
