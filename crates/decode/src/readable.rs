//! A function whose layout is known before the first call comes.

use countersign_core::abi::{AbiFunction, AbiValue, DecodedCall};

use crate::{
    canonical,
    layout::{self, DecodeError, Member},
};

/// An ABI function that is ready to read calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readable {
    function: AbiFunction,
    /// An error makes the function claim its selector and read nothing.
    arguments: Result<Vec<Member>, DecodeError>,
}

impl Readable {
    pub(crate) fn new(function: AbiFunction) -> Self {
        let arguments = layout::arguments(&function);
        Self { function, arguments }
    }

    pub(crate) const fn function(&self) -> &AbiFunction {
        &self.function
    }

    /// As [`canonical::decode_call`].
    pub(crate) fn read(&self, data: &[u8]) -> Result<DecodedCall, DecodeError> {
        let args = self.read_arguments(canonical::arguments(&self.function, data)?)?;
        Ok(DecodedCall { signature: self.function.signature().to_owned(), args })
    }

    /// Reads arguments that come without a selector.
    pub(crate) fn read_arguments(&self, body: &[u8]) -> Result<AbiValue, DecodeError> {
        let members = self.arguments.as_ref().map_err(|error| *error)?;
        canonical::decode(members, body)
    }
}
