use countersign_policy::decision::Permit;

fn read(text: &str) -> Permit {
    serde_json::from_str(text).unwrap()
}

fn main() {}
