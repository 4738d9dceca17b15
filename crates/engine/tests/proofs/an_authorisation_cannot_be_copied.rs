use countersign_engine::stage::Authorized;

fn copy(authorized: &Authorized) -> Authorized {
    authorized.clone()
}

fn main() {}
