//! Each `sslmode` against a PostgreSQL with a certificate of our own authority.
#![cfg(not(loom))]

mod common;

use common::proxy::Proxy;
use common::{Server, directory, server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use switchboard_child::User;
use switchboard_rows::{Database, Error, Options, RowCache};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

fn authority(base: &Path, name: &str) -> Authority {
    let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a certificate");
    let file = base.join(format!("{name}.pem"));
    std::fs::write(&file, issuer.pem()).expect("written");
    Authority { issuer, file }
}

/// Starts a server whose certificate is for `db.test`, at an address of this machine of its own.
fn start(base: &Path, authority: &Authority) -> (Server, String) {
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(vec!["db.test".to_owned()]).expect("parameters");
    let certificate = parameters.signed_by(&key, &authority.issuer).expect("a certificate");
    let files = [base.join("server.pem"), base.join("server.key")];
    let user = if User::is_root() { User::named("postgres").expect("a user") } else { User::current() };
    for (file, text) in files.iter().zip([certificate.pem(), key.serialize_pem()]) {
        std::fs::write(file, text).expect("written");
        // PostgreSQL takes no key that others may read.
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permissions");
        std::os::unix::fs::chown(file, Some(user.uid), Some(user.gid)).expect("an owner");
    }
    let address = format!("127.{}.{}.{}", fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255));
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", files[0].display()),
        format!("ssl_key_file={}", files[1].display()),
        format!("listen_addresses={address}"),
    ];
    let server = Server::start(&settings.each_ref().map(String::as_str));
    server.run_sql("postgres", "GRANT CREATE ON SCHEMA public TO app");
    (server, address)
}

/// Returns true if the session has TLS.
async fn is_encrypted(database: &Database) -> Result<bool, Error> {
    let options = Options { create_demo_table: true, ..Options::default() };
    let cache = RowCache::connect_with(database, ["patron"], options).await?;
    let sql = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let rows = cache.query(sql, Vec::new()).await?;
    // The feed and the markers go the same way.
    let others = "SELECT count(*)::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE NOT ssl AND client_addr IS NOT NULL AND application_name LIKE 'switchboard rows%'";
    let encrypted = rows[0][0].as_deref() == Some("true");
    if encrypted {
        assert_eq!(cache.query(others, Vec::new()).await?[0][0].as_deref(), Some("0"));
    }
    Ok(encrypted)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sslmode_encrypts_and_verifies_as_it_says() {
    let base = directory();
    let (ours, theirs) = (authority(&base, "ours"), authority(&base, "theirs"));
    let (server, address) = tokio::task::block_in_place(|| start(&base, &ours));
    let roots = [("", None), ("ours", Some(&ours.file)), ("theirs", Some(&theirs.file))];
    // None: the certificate is refused.
    for (mode, host, root, expected) in [
        ("disable", "db.test", "", Some(false)),
        ("prefer", "db.test", "", Some(true)),
        ("require", "other.test", "", Some(true)),
        ("require", "other.test", "ours", Some(true)),
        ("require", "db.test", "theirs", None),
        ("verify-ca", "other.test", "ours", Some(true)),
        ("verify-ca", "db.test", "theirs", None),
        ("verify-full", "db.test", "ours", Some(true)),
        ("verify-full", "other.test", "ours", None),
        ("verify-full", "db.test", "theirs", None),
    ] {
        let root = roots.iter().find(|(name, _)| *name == root).and_then(|(_, file)| *file);
        let root = root.map_or_else(String::new, |file| format!(" sslrootcert={}", file.display()));
        let text = format!("host={host} hostaddr={address} user=app dbname=postgres sslmode={mode}{root}");
        let result = is_encrypted(&text.parse().expect("an address")).await;
        match (&result, expected) {
            (Ok(encrypted), Some(expected)) => assert_eq!(*encrypted, expected, "{text}"),
            (Err(error), None) => assert!(error.to_string().contains("certificate"), "{text}: {error}"),
            _ => panic!("{text}: {result:?}"),
        }
    }
    tokio::task::block_in_place(|| server.end());
    let _ = std::fs::remove_dir_all(base);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let scratch = server().scratch().await;
    let proxy = Proxy::start(server().socket_directory()).await;
    for (mode, is_refused) in [("prefer", false), ("disable", false), ("require", true), ("verify-full", true)] {
        let text = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=app dbname={} sslmode={mode}",
            proxy.port(),
            scratch.scratch.name()
        );
        let database = text.parse::<Database>();
        // A machine without authorities says so at once.
        let result = match database {
            Ok(database) => is_encrypted(&database).await,
            Err(error) => Err(error),
        };
        assert_eq!(result.is_err(), is_refused, "{mode}: {result:?}");
        if let Ok(encrypted) = result {
            assert!(!encrypted);
        }
    }
}

#[test]
fn a_file_without_authorities_is_an_error() {
    let base = directory();
    let empty = base.join("empty.pem");
    std::fs::write(&empty, "none\n").expect("written");
    for (file, words) in [(empty, "it has none in PEM"), (base.join("missing.pem"), "cannot read certificates")] {
        let text = format!("host=a sslmode=verify-ca sslrootcert={}", file.display());
        let error = text.parse::<Database>().expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }
    let _ = std::fs::remove_dir_all(base);
}
