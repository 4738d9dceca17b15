//! Texts from elsewhere, where people read them.

/// Whether a character is not what a reader sees: a control character, one that is not shown, or one that turns the order
/// of others (the bidirectional controls of UAX #9, Unicode's format characters and tags). Letters that look like others
/// are not among them.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_text_is_hidden_and_what_is_read_is_not() {
        for c in ['\n', '\u{1b}', '\u{85}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{202e}', '\u{2066}']
        {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in ['\u{feff}', '\u{fff9}', '\u{e0041}', '\u{2028}'] {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in "a Ж 漢 ע é € 😀 …\u{301}".chars() {
            assert!(!is_hidden(c), "{c:?}");
        }
    }
}
