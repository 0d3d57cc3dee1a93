//! The access token: one for all services of a process.

use nix::unistd::geteuid;
use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The environment variable that services and clients take the token from.
pub const ENVIRONMENT: &str = "SWITCHBOARD_TOKEN";

/// Fewer characters can be guessed.
const SHORTEST: usize = 16;
/// A PLAIN password of ZeroMQ holds no more.
const LONGEST: usize = 255;

/// The secret of clients beyond loopback: as `Authorization: Bearer TOKEN`, once as `?token=TOKEN`, or through the login
/// form. Over plain HTTP it can be read on the way, like everything else.
#[derive(Clone)]
pub struct Token {
    text: Arc<str>,
    /// The file that it was read from; none if the operator has chosen it.
    file: Option<PathBuf>,
}

/// A token that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It can be guessed, or is longer than ZeroMQ can say.
    #[error("a token must have {SHORTEST} to {LONGEST} characters; this one has {0}")]
    Length(usize),
    /// It would be read differently in a header, an address and a form.
    #[error("a token must consist of visible ASCII characters, without blanks")]
    Characters,
    /// Other machines can reach the service, and there is no token.
    #[error("a listener beyond loopback needs a token: set {ENVIRONMENT}")]
    Missing,
    /// There is no file for the token yet, and none can be made.
    #[error("cannot make the token's file {}: {reason}; set {ENVIRONMENT} to do without it", path.display())]
    NotMade {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The token's file cannot be used.
    #[error("cannot use the token in {}: {reason}; set {ENVIRONMENT}, or remove the file", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Token {
    /// Takes a token that the operator has chosen. Every listener asks for it, those on loopback as well.
    ///
    /// # Errors
    /// If it has fewer than 16 or more than 255 characters, or others than visible ASCII.
    pub fn new(text: &str) -> Result<Token, TokenError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        if !(SHORTEST..=LONGEST).contains(&text.len()) {
            return Err(TokenError::Length(text.len()));
        }
        Ok(Token { text: text.into(), file: None })
    }

    /// Takes the token of [`ENVIRONMENT`], if it is set and not empty.
    ///
    /// # Errors
    /// As [`Token::new`].
    pub fn from_environment() -> Result<Option<Token>, TokenError> {
        match std::env::var_os(ENVIRONMENT).filter(|text| !text.is_empty()) {
            Some(text) => Token::new(text.to_str().ok_or(TokenError::Characters)?).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the token of this file, or makes one there: 128 random bits, readable by the owner only. Two processes that
    /// start at once agree on one.
    ///
    /// # Errors
    /// If the file cannot be read or made, belongs to another user, can be read or written by others, or is a link.
    pub fn load_or_make(path: &Path) -> Result<Token, TokenError> {
        let failed = |reason: String| TokenError::File { path: path.to_owned(), reason };
        let mut made = false;
        loop {
            match read(path) {
                Ok(text) => {
                    let token = Token::new(text.trim()).map_err(|error| failed(error.to_string()))?;
                    return Ok(Token { file: Some(path.to_owned()), ..token });
                }
                Err(error) if error.kind() == ErrorKind::NotFound && !made => {
                    make(path)
                        .map_err(|error| TokenError::NotMade { path: path.to_owned(), reason: error.to_string() })?;
                    made = true;
                }
                Err(error) => return Err(failed(error.to_string())),
            }
        }
    }

    /// The token itself, for a client of this process.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The file that it was read from; none if the operator has chosen it.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Compares in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn is_same(&self, offered: &[u8]) -> bool {
        self.text.as_bytes().ct_eq(offered).into()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        self.is_same(other.text.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("file", &self.file).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> io::Result<String> {
    // A link could lead to a token that somebody else knows.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    let refuse = |reason| Err(io::Error::other(reason));
    if !metadata.is_file() {
        return refuse("it is no regular file");
    }
    if metadata.uid() != geteuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if metadata.mode() & 0o077 != 0 {
        return refuse("other users can read or write it; `chmod 600` it");
    }
    let mut text = String::new();
    file.take(2 * LONGEST as u64).read_to_string(&mut text)?;
    Ok(text)
}

/// Makes the file, unless somebody else is quicker.
fn make(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    // Whole before it has its name, and never over the token of a process that was quicker.
    let mut file = tempfile::Builder::new().prefix(".token").tempfile_in(directory)?;
    file.write_all(format!("{}\n", const_hex::encode(bytes)).as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::thread;

    #[test]
    fn a_token_has_from_16_to_255_visible_ascii_characters() {
        for (length, allowed) in [(0, false), (15, false), (16, true), (255, true), (256, false)] {
            assert_eq!(Token::new(&"x".repeat(length)).is_ok(), allowed, "{length}");
        }
        for good in ["0123456789abcde+", "0123456789&b=c%d", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"] {
            assert_eq!(Token::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "0123456789abcde f",
            " 123456789abcdef",
            "0123456789abcd\u{e9}",
            "0123456789abcdef\n",
            "0123456789\0abcdef",
        ] {
            assert!(matches!(Token::new(bad), Err(TokenError::Characters)), "{bad:?}");
        }
    }

    #[test]
    fn only_the_same_token_is_the_same() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.is_same(b"0123456789abcdef"));
        for other in ["", "0123456789abcdeg", "1123456789abcdef", "0123456789abcde", "0123456789abcdef0"] {
            assert!(!token.is_same(other.as_bytes()), "{other}");
        }
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn a_made_token_is_kept_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/token");
        let token = Token::load_or_make(&path).unwrap();
        assert!(token.as_str().len() >= 32);
        assert_eq!(Token::load_or_make(&path).unwrap(), token);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn processes_that_start_at_once_agree() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let first = Token::load_or_make(&path).unwrap();
        // The one that comes later has looked before the file was there.
        make(&path).unwrap();
        assert_eq!(Token::load_or_make(&path).unwrap(), first);
        fs::remove_file(&path).unwrap();
        let make = || Token::load_or_make(&directory.path().join("other/token"));
        let all: Vec<Token> = thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            all.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
        });
        assert!(all.iter().all(|token| *token == all[0]));
    }

    #[test]
    fn a_token_that_cannot_be_made_is_no_file_to_remove() {
        // Nobody, root included, makes a file there.
        let error = Token::load_or_make(Path::new("/proc/switchboard/token")).unwrap_err();
        assert!(matches!(error, TokenError::NotMade { .. }), "{error}");
        assert!(!error.to_string().contains("remove"), "{error}");
    }

    #[test]
    fn a_file_that_others_may_know_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let refused = |path: &Path| matches!(Token::load_or_make(path), Err(TokenError::File { .. }));
        fs::write(&path, "0123456789abcdef").unwrap();
        for (mode, expected) in [(0o644, true), (0o620, true), (0o602, true), (0o600, false), (0o400, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(refused(&path), expected, "{mode:o}");
        }
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(refused(&link));
        assert!(refused(directory.path()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for content in ["", "short", "0123456789 abcdef", &"x".repeat(256)] {
            fs::write(&path, content).unwrap();
            assert!(refused(&path), "{content}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
