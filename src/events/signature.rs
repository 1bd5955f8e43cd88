//! The signature of a notification: HMAC-SHA-256 (RFC 2104) over its time and its body, so that a receiver can refuse what others
//! send, and what is sent again later.

use ring::hmac::{Context, HMAC_SHA256, Key};

/// `v1=` and the code in hexadecimal digits, over `SECONDS.BODY`.
pub(super) fn signature(secret: &[u8], seconds: u64, body: &[u8]) -> String {
    format!("v1={}", hex::encode(code(secret, &[seconds.to_string().as_bytes(), b".", body])))
}

fn code(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut code = Context::with_key(&Key::new(HMAC_SHA256, secret));
    for part in parts {
        code.update(part);
    }
    code.sign().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test cases 2 and 6 of RFC 4231.
    #[test]
    fn the_code_is_that_of_the_rfc() {
        let code = |key: &[u8], text: &[&[u8]]| hex::encode(code(key, text));
        assert_eq!(
            code(b"Jefe", &[b"what do ya want ", b"for nothing?"]),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            code(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn time_and_body_are_signed() {
        let signed = signature(b"secret", 1_764_285_600, b"{}");
        assert!(signed.starts_with("v1=") && signed.len() == 3 + 64);
        assert_ne!(signed, signature(b"secret", 1_764_285_601, b"{}"));
        assert_ne!(signed, signature(b"secret", 1_764_285_600, b"{ }"));
        assert_ne!(signed, signature(b"Secret", 1_764_285_600, b"{}"));
    }
}
