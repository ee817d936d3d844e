//! What went wrong with TLS, in words of ours: rustls' own can quote names out of a certificate.

use rustls::{AlertDescription, CertificateError, Error};

/// The problem of a peer.
pub(super) fn problem_of(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => "it shows no certificate",
        Error::AlertReceived(alert) => received(*alert),
        Error::InvalidMessage(_) => "it does not speak TLS",
        Error::PeerIncompatible(_) => "it has no version or cipher of TLS that we have",
        _ => "it broke the TLS protocol",
    }
}

fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => "its certificate is of no authority that we trust",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host"
        }
        CertificateError::Revoked => "its certificate was revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is for another purpose"
        }
        _ => "its certificate is not valid",
    }
}

fn received(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateExpired => "it says that our certificate has expired",
        AlertDescription::UnknownCA => "it does not trust the authority of our certificate",
        AlertDescription::CertificateRequired => "it wants a certificate of ours",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "it refuses our certificate",
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            "it has no version or cipher of TLS that we have"
        }
        _ => "it ended TLS with an alert",
    }
}
