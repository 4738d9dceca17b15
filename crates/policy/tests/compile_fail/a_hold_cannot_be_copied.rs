use countersign_policy::decision::Hold;

fn copy(hold: &Hold) -> Hold {
    hold.clone()
}

fn main() {}
