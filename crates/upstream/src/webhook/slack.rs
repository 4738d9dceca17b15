//! A notice as Slack's incoming webhooks take it. What an agent said is plain text: no link, no mention, no formatting.

use countersign_engine::notice::Notice;
use serde_json::{Value, json};

/// Characters of one field at most: Slack refuses longer ones.
const FIELD_MAX: usize = 1900;

/// How many fields stand in one section: Slack refuses more.
const FIELDS_MAX: usize = 10;

pub(super) fn body(notice: &Notice) -> Value {
    let mut blocks = vec![json!({
        "type": "section",
        "text": { "type": "mrkdwn", "text": format!("*{}*", escaped(&notice.title)), "verbatim": true },
    })];
    for facts in notice.facts.chunks(FIELDS_MAX) {
        let fields: Vec<Value> = facts.iter().map(|(name, value)| field(name, value)).collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    for (name, said) in &notice.untrusted {
        let text = cut(&format!("untrusted, {name} as the agent says: {said}"));
        let element = json!({ "type": "plain_text", "text": text, "emoji": false });
        blocks.push(json!({ "type": "context", "elements": [element] }));
    }
    json!({ "text": escaped(&notice.title), "blocks": blocks })
}

fn field(name: &str, value: &str) -> Value {
    json!({ "type": "plain_text", "text": cut(&format!("{name}: {value}")), "emoji": false })
}

fn cut(text: &str) -> String {
    text.chars().take(FIELD_MAX).collect()
}

/// The three characters that mean something in Slack's markup, and those that format.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // formatting marks become look-alikes that format nothing
            '*' => out.push('\u{2217}'),
            '`' => out.push('\''),
            other => out.push(other),
        }
    }
    cut(&out)
}

#[cfg(test)]
mod tests {
    use countersign_core::time::Timestamp;
    use countersign_engine::notice::Kind;

    use super::*;

    #[test]
    fn what_an_agent_says_is_neither_link_nor_mention() {
        let notice = Notice {
            id: "evt_1".into(),
            kind: Kind::PendingCreated,
            at: Timestamp::default(),
            title: "<!channel> *a* & <https://evil.example|click>".into(),
            facts: (0..12).map(|n| ("name", n.to_string())).collect(),
            untrusted: vec![("reasoning", format!("<!here> *approve* {}", "x".repeat(9000)))],
        };
        let body = body(&notice);
        assert_eq!(
            body["text"],
            "&lt;!channel&gt; \u{2217}a\u{2217} &amp; &lt;https://evil.example|click&gt;"
        );
        let blocks = body["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 4, "twelve facts are two sections");
        let said = &blocks[3]["elements"][0];
        assert_eq!((&said["type"], &said["emoji"]), (&json!("plain_text"), &json!(false)));
        let said = said["text"].as_str().unwrap();
        assert!(said.starts_with("untrusted, reasoning as the agent says: <!here> *approve*"));
        assert_eq!(said.chars().count(), FIELD_MAX);
    }
}
