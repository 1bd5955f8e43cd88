//! `FromStr` for the types that have a `parse` function.

use core::str::FromStr;

use crate::{
    Checkpoint, CheckpointError, Hash, HashError, KeyError, RecordId, Signer, Tile, TileError, TreeError, TreeSize,
    VerifierKey,
};

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
    Checkpoint CheckpointError
    Hash HashError
    RecordId TreeError
    Signer KeyError
    Tile TileError
    TreeSize TreeError
    VerifierKey KeyError
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::{SUM_GOLANG_ORG, empty_root};

    #[test]
    fn text_can_be_parsed_with_from_str() {
        let tile = "tile/8/0/x001/x234/067.p/5";
        assert_eq!(tile.parse::<Tile>().map(|tile| tile.to_string()).as_deref(), Ok(tile));
        assert_eq!("007".parse::<RecordId>(), Err(TreeError::NotCanonical));
        assert_eq!("7".parse::<TreeSize>().map(TreeSize::get), Ok(7));
        assert_eq!(empty_root().to_string().parse(), Ok(empty_root()));
        assert_eq!(SUM_GOLANG_ORG.parse(), VerifierKey::parse(SUM_GOLANG_ORG));
        assert_eq!("no lines".parse::<Checkpoint>(), Err(CheckpointError::Malformed));
        let secret = Signer::from_seed("a", [7; 32]).map(|signer| signer.to_secret_text());
        assert_eq!(secret.clone().and_then(|text| text.parse()).map(|signer: Signer| signer.to_secret_text()), secret);
    }
}
