//! Properties of a side, as they stand in READY and INITIATE.

use thiserror::Error;

/// Bytes that are no list of properties.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MetadataError {
    /// It ends within a property.
    #[error("the metadata ends within a property")]
    Cut,
    /// A name must have a byte.
    #[error("the metadata has a property without a name")]
    NoName,
}

pub(super) fn encode(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.push(u8::try_from(name.len()).expect("our own names are short"));
    out.extend_from_slice(name.as_bytes());
    let length = u32::try_from(value.len()).expect("our own values are short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

/// Calls `found` with each property's name and value.
pub(super) fn decode<'a>(mut input: &'a [u8], mut found: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), MetadataError> {
    while let Some((&length, rest)) = input.split_first() {
        if length == 0 {
            return Err(MetadataError::NoName);
        }
        let (name, rest) = rest.split_at_checked(usize::from(length)).ok_or(MetadataError::Cut)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(MetadataError::Cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| MetadataError::Cut)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(MetadataError::Cut)?;
        found(name, value);
        input = rest;
    }
    Ok(())
}
