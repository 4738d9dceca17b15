//! The books as they lie in Redis, at one instant.

use super::Resp;

const SCRIPT: &str = include_str!("audit.lua");

/// What every key of the tests' app begins with.
const PREFIX: &str = "countersign:{default}:";

/// In what counters and operations differ; nothing, at every instant, whatever breaks.
pub async fn differences(redis: &mut Resp) -> Vec<String> {
    audit(redis, "busy").await
}

/// As [`differences`], and what is still reserved or committed although all is quiet.
pub async fn leftovers(redis: &mut Resp) -> Vec<String> {
    audit(redis, "quiet").await
}

async fn audit(redis: &mut Resp, how: &str) -> Vec<String> {
    let lines = redis.run(&["EVAL", SCRIPT, "1", PREFIX, how]).await;
    let lines = lines.as_array().cloned().expect("a list of lines");
    lines.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
}

/// How many nonces of a wallet were given out, ever: each is a commit.
pub async fn committed(redis: &mut Resp, wallet: &str) -> u64 {
    let lane = format!("{PREFIX}lane:{}:{wallet}", crate::anvil::CHAIN);
    let next = redis.run(&["HGET", &lane, "next"]).await;
    next.as_str().map_or(0, |next| next.parse().expect("a nonce"))
}
