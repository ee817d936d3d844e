//! Describes TLS errors in constant texts. The texts of rustls can quote names from a certificate.

use rustls::{AlertDescription, CertificateError, Error};

/// Returns the text for a TLS error of the peer.
pub(super) fn problem_of(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => "it presents no certificate",
        Error::AlertReceived(alert) => received(*alert),
        Error::InvalidMessage(_) => "it does not speak TLS",
        Error::PeerIncompatible(_) => "it supports no TLS version or cipher that we support",
        _ => "it violated the TLS protocol",
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
        CertificateError::UnknownIssuer => {
            "its certificate is not issued by an authority that we trust"
        }
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
        AlertDescription::CertificateRequired => "it requires a certificate from us",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "it rejects our certificate",
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            "it supports no TLS version or cipher that we support"
        }
        _ => "it ended TLS with an alert",
    }
}
