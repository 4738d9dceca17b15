//! Emoji of several characters, of which some cannot be seen: they are one picture, where they are well formed.
//!
//! Outside of such a picture a joiner or a selector is a character that nobody sees, and stays one.

/// Joins two pictures to one.
const JOINER: char = '\u{200d}';

/// Asks for the coloured form.
const COLOURED: char = '\u{fe0f}';

/// The frame around a digit.
const KEYCAP: char = '\u{20e3}';

/// The characters of a text, without those that cannot be seen because they belong to a picture that can.
pub(super) fn without(text: &str) -> impl Iterator<Item = char> {
    Seen { rest: text, joinable: false }
}

struct Seen<'t> {
    rest: &'t str,
    /// What came before is a whole picture, which a joiner may follow.
    joinable: bool,
}

impl Iterator for Seen<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if let Some(after) = self.rest.strip_prefix(JOINER).filter(|_| self.joinable)
            && after.chars().next().is_some_and(is_picture)
        {
            self.rest = after;
        }
        let mut chars = self.rest.chars();
        let seen = chars.next()?;
        self.joinable = is_picture(seen);
        self.rest = chars.as_str();
        if let Some(after) = self.rest.strip_prefix(COLOURED)
            && (self.joinable || is_key(seen) && after.starts_with(KEYCAP))
        {
            self.rest = after;
        } else if let Some(after) = self.rest.strip_prefix(is_skin)
            && self.joinable
        {
            self.rest = after;
        }
        Some(seen)
    }
}

fn is_key(c: char) -> bool {
    c.is_ascii_digit() || c == '#' || c == '*'
}

fn is_skin(c: char) -> bool {
    ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
}

/// What has a picture of its own (Unicode's `Extended_Pictographic`, as far as it is assigned, in blocks).
const fn is_picture(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2194}'..='\u{2199}' | '\u{21a9}' | '\u{21aa}' | '\u{231a}' | '\u{231b}' | '\u{2328}'
        | '\u{23cf}' | '\u{23e9}'..='\u{23f3}' | '\u{23f8}'..='\u{23fa}' | '\u{24c2}' | '\u{25aa}'
        | '\u{25ab}' | '\u{25b6}' | '\u{25c0}' | '\u{25fb}'..='\u{25fe}' | '\u{2600}'..='\u{2604}'
        | '\u{260e}' | '\u{2611}' | '\u{2614}'..='\u{2615}' | '\u{2618}' | '\u{261d}' | '\u{2620}'
        | '\u{2622}'..='\u{2623}' | '\u{2626}' | '\u{262a}' | '\u{262e}'..='\u{262f}'
        | '\u{2638}'..='\u{263a}' | '\u{2640}' | '\u{2642}' | '\u{2648}'..='\u{2653}'
        | '\u{265f}'..='\u{2660}' | '\u{2663}' | '\u{2665}'..='\u{2666}' | '\u{2668}' | '\u{267b}'
        | '\u{267e}'..='\u{267f}' | '\u{2692}'..='\u{2697}' | '\u{2699}' | '\u{269b}'..='\u{269c}'
        | '\u{26a0}'..='\u{26a1}' | '\u{26a7}' | '\u{26aa}'..='\u{26ab}' | '\u{26b0}'..='\u{26b1}'
        | '\u{26bd}'..='\u{26be}' | '\u{26c4}'..='\u{26c5}' | '\u{26c8}' | '\u{26ce}'..='\u{26cf}'
        | '\u{26d1}' | '\u{26d3}'..='\u{26d4}' | '\u{26e9}'..='\u{26ea}' | '\u{26f0}'..='\u{26f5}'
        | '\u{26f7}'..='\u{26fa}' | '\u{26fd}' | '\u{2702}' | '\u{2705}' | '\u{2708}'..='\u{270d}'
        | '\u{270f}' | '\u{2712}' | '\u{2714}' | '\u{2716}' | '\u{271d}' | '\u{2721}' | '\u{2728}'
        | '\u{2733}'..='\u{2734}' | '\u{2744}' | '\u{2747}' | '\u{274c}' | '\u{274e}'
        | '\u{2753}'..='\u{2755}' | '\u{2757}' | '\u{2763}'..='\u{2764}' | '\u{2795}'..='\u{2797}'
        | '\u{27a1}' | '\u{27b0}' | '\u{27bf}' | '\u{2934}'..='\u{2935}' | '\u{2b05}'..='\u{2b07}'
        | '\u{2b1b}'..='\u{2b1c}' | '\u{2b50}' | '\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}'
        | '\u{3299}' | '\u{1f004}' | '\u{1f0cf}' | '\u{1f170}'..='\u{1f171}'
        | '\u{1f17e}'..='\u{1f17f}' | '\u{1f18e}' | '\u{1f191}'..='\u{1f19a}'
        | '\u{1f201}'..='\u{1f202}' | '\u{1f21a}' | '\u{1f22f}' | '\u{1f232}'..='\u{1f23a}'
        | '\u{1f250}'..='\u{1f251}' | '\u{1f300}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6d7}' | '\u{1f6dc}'..='\u{1f6ec}' | '\u{1f6f0}'..='\u{1f6fc}'
        | '\u{1f7e0}'..='\u{1f7eb}' | '\u{1f7f0}' | '\u{1f90c}'..='\u{1f93a}'
        | '\u{1f93c}'..='\u{1f945}' | '\u{1f947}'..='\u{1f9ff}' | '\u{1fa70}'..='\u{1faff}'
    )
}
