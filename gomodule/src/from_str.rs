//! `FromStr` for the types that have a `parse` function.

use std::str::FromStr;

use crate::dirhash::{H1, H1Error};
use crate::module::{
    ModulePath, ModuleVersion, ModuleVersionError, PathError, PatternError, Patterns, Version, VersionError,
};
use crate::proxy_request::{Request, RequestError};

macro_rules! from_str {
    ($($type:ident $error:ident)*) => {$(
        impl FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }
    )*};
}

from_str! {
    H1 H1Error
    ModulePath PathError
    ModuleVersion ModuleVersionError
    Patterns PatternError
    Request RequestError
    Version VersionError
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_prints_as_parsed<T: FromStr<Err: std::fmt::Debug> + ToString>(text: &str) {
        assert_eq!(text.parse::<T>().map(|value| value.to_string()).ok().as_deref(), Some(text));
        assert!("[".parse::<T>().is_err());
    }

    #[test]
    fn text_can_be_parsed_with_from_str() {
        assert_prints_as_parsed::<H1>("h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=");
        assert_prints_as_parsed::<ModulePath>("example.com/a");
        assert_prints_as_parsed::<ModuleVersion>("example.com/a@v1.0.0");
        assert_prints_as_parsed::<Patterns>("*.example.com,a.com");
        assert_prints_as_parsed::<Request>("example.com/a/@v/list");
        assert_prints_as_parsed::<Version>("v1.0.0");
    }
}
