//! Trusted certificates.

#[cfg(not(feature = "tls"))]
use crate::dialer::Dialer;
use std::path::PathBuf;

/// Certificates that count for `https`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nobody's: for a client of `http` addresses, which reads no certificates.
    Nobody,
    /// The system's: `SSL_CERT_FILE` and `SSL_CERT_DIR`, else where the distribution keeps them.
    #[default]
    System,
    /// The system's, if it has any, and those of this PEM file.
    SystemAnd(PathBuf),
}

/// The certificates to trust cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The file cannot be read, or has no certificate.
    #[error("cannot read certificates from {}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The system has none.
    #[error("the system has no certificates of authorities ({reason}); install the package ca-certificates")]
    System {
        /// The fault.
        reason: String,
    },
}

#[cfg(not(feature = "tls"))]
pub(crate) type Connector = Dialer;

#[cfg(not(feature = "tls"))]
pub(crate) fn connector(dialer: Dialer, _: &Trust) -> Result<Connector, TrustError> {
    Ok(dialer)
}

#[cfg(feature = "tls")]
pub(crate) use with_tls::{Connector, connector};

#[cfg(feature = "tls")]
mod with_tls {
    use super::{Trust, TrustError};
    use crate::dialer::Dialer;
    use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, RootCertStore};
    use std::path::Path;
    use std::sync::Arc;

    /// Bytes of a file of certificates, at most.
    const MAX_FILE: u64 = 4 << 20;

    pub(crate) type Connector = HttpsConnector<Dialer>;

    pub(crate) fn connector(dialer: Dialer, trust: &Trust) -> Result<Connector, TrustError> {
        let mut roots = RootCertStore::empty();
        match trust {
            Trust::Nobody => {}
            Trust::System => {
                let problem = add_system(&mut roots);
                if roots.is_empty() {
                    return Err(TrustError::System { reason: problem });
                }
            }
            Trust::SystemAnd(path) => {
                let _ = add_system(&mut roots);
                add_file(&mut roots, path)?;
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            // ring has all of these versions.
            .unwrap_or_else(|error| unreachable!("{error}"))
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(dialer))
    }

    /// Adds the system's certificates; returns the reason in words where there are none.
    fn add_system(roots: &mut RootCertStore) -> String {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string)
    }

    fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TrustError> {
        let wrong = |reason: String| TrustError::File { path: path.to_owned(), reason };
        let file = switchboard_driver::read_file(path, MAX_FILE).map_err(|error| wrong(error.to_string()))?;
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(&file) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            count += 1;
        }
        if count == 0 { Err(wrong("it has no certificate in PEM".into())) } else { Ok(()) }
    }
}
