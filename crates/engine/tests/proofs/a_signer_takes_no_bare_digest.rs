use alloy_primitives::B256;
use countersign_engine::port::Signer;

async fn blind(signer: &dyn Signer, digest: B256) {
    let _signature = signer.sign(&digest).await;
}

fn main() {}
