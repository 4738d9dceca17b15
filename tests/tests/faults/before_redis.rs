//! The line to Redis, and Redis itself.

use countersign_tests::proxy::{
    End::{Close, Reset, Silence},
    Fault::{Dripped, HalfAnswer, Late, NeverArrives, NoAnswer, Passes},
    Line::{Dark, Deaf, Drip, Refused, Slow},
    store::{
        ANY, APPROVE, COLLECT, COMMIT, DELIVER, PRESENT, RECORD, REDEEM, REJECT, RESERVE, SEEN,
        SENT, SETTLE, SIGNED,
    },
};

use crate::{
    scenario::{
        Act::{Approve, Bare, Collect, Held, Parked, Reject},
        Said::{Hash, Pending, Status, Unavailable},
        Scenario, row,
    },
    server::Server,
};

/// Each row with its outcome. Where nothing is said: the hash, by 4 s; afterwards one payment, always.
#[rustfmt::skip]
pub(crate) const ROWS: &[Scenario] = &[
    // nothing can have been done yet
    row("the line is half-open").store_line(Dark).says(&[Unavailable], 3),
    row("nobody listens").store_line(Refused).says(&[Unavailable], 3),
    row("what is asked arrives, no answer comes").store_line(Deaf).act(Bare).says(&[Unavailable], 3),
    row("an answer to a read is cut in half").store(SEEN, HalfAnswer(Close)).says(&[Unavailable], 3),
    row("the connection is reset under a read").store(SEEN, NoAnswer(Reset)).act(Bare).says(&[Unavailable], 3),
    row("an answer to a read never comes").store(SEEN, NoAnswer(Silence)).says(&[Unavailable], 3),
    // the reservation
    row("a reservation's answer is lost").store(RESERVE, NoAnswer(Close)),
    row("a reservation's answer is a reset").store(RESERVE, NoAnswer(Reset)).act(Bare),
    row("a reservation is answered by silence").store(RESERVE, NoAnswer(Silence)),
    row("half a reservation's answer, then the end").store(RESERVE, HalfAnswer(Close)),
    row("half a reservation's answer, then a reset").store(RESERVE, HalfAnswer(Reset)),
    row("half a reservation's answer, then silence").store(RESERVE, HalfAnswer(Silence)).act(Bare),
    row("a reservation never arrives").store(RESERVE, NeverArrives(Reset)),
    row("a reservation never arrives, and nobody says so").store(RESERVE, NeverArrives(Silence)),
    row("a reservation's answer is late").store(RESERVE, Late(1000)),
    row("a reservation's answer is later than anybody waits").store(RESERVE, Late(30_000)),
    row("a reservation's answer drips").store(RESERVE, Dripped(2)),
    row("after a reservation the line is dark").store(RESERVE, NoAnswer(Silence)).then(Dark).says(&[Unavailable], 6),
    row("after a reservation nobody listens").store(RESERVE, NoAnswer(Reset)).then(Refused).act(Bare).says(&[Unavailable], 3),
    row("a reservation that parks loses its answer").store(RESERVE, NoAnswer(Reset)).act(Parked).says(&[Pending], 2),
    // the record of the decision
    row("a record's answer is lost").store(RECORD, NoAnswer(Close)).says(&[Unavailable], 3),
    row("a record's answer never comes").store(RECORD, NoAnswer(Silence)).act(Bare).says(&[Unavailable], 4),
    row("a record never arrives").store(RECORD, NeverArrives(Reset)).says(&[Unavailable], 3),
    row("after a record the line is dark").store(RECORD, NoAnswer(Silence)).then(Dark).says(&[Pending], 6),
    row("a record never arrives, and nothing after it").store(RECORD, NeverArrives(Silence)).then(Dark).act(Bare).says(&[Pending], 6),
    row("after a reservation that parks the line is dark").store(RESERVE, NoAnswer(Silence)).then(Dark).act(Parked).says(&[Unavailable], 6),
    row("after a record of what is parked the line is dark").store(RECORD, NoAnswer(Silence)).then(Dark).act(Parked).says(&[Pending], 6),
    row("a parked call's record is lost").store(RECORD, NoAnswer(Reset)).act(Parked).says(&[Unavailable], 3),
    // commit: from here on money does not come back by itself
    row("a commit's answer is lost").store(COMMIT, NoAnswer(Close)),
    row("a commit's answer is a reset").store(COMMIT, NoAnswer(Reset)).act(Bare),
    row("a commit is answered by silence").store(COMMIT, NoAnswer(Silence)),
    row("half a commit's answer, then a reset").store(COMMIT, HalfAnswer(Reset)),
    row("a commit never arrives").store(COMMIT, NeverArrives(Reset)).act(Bare),
    row("after a commit the line is dark").store(COMMIT, NoAnswer(Silence)).then(Dark).says(&[Pending], 10),
    row("after a commit the line is dark for long").store(COMMIT, NoAnswer(Silence)).then(Dark).act(Bare).says(&[Pending], 12).outlasts(25),
    row("after a commit nobody listens").store(COMMIT, NoAnswer(Reset)).then(Refused).act(Bare).says(&[Pending], 4),
    row("a commit never arrives, and nothing after it").store(COMMIT, NeverArrives(Silence)).then(Dark).act(Bare).says(&[Pending], 10),
    // the signature
    row("a signature's answer is lost").store(SIGNED, NoAnswer(Close)),
    row("half an answer to a signature, then a reset").store(SIGNED, HalfAnswer(Reset)).act(Bare),
    row("a signature is answered by silence").store(SIGNED, NoAnswer(Silence)),
    row("a signature never arrives").store(SIGNED, NeverArrives(Reset)),
    // it is stored after the send, with what the node said: the hash is true
    row("after a signature the line is dark").store(SIGNED, NoAnswer(Silence)).then(Dark),
    row("a signature never arrives, and nothing after it").store(SIGNED, NeverArrives(Reset)).then(Refused).act(Bare),
    row("the note of a send is lost").store(SENT, NoAnswer(Reset)),
    row("the note of a send is answered by silence").store(SENT, NoAnswer(Silence)).act(Bare),
    row("the note of a send never arrives").store(SENT, NeverArrives(Reset)),
    row("after a send the line is dark").store(SENT, NoAnswer(Silence)).then(Dark),
    row("after a send nobody listens").store(SENT, NeverArrives(Reset)).then(Refused).act(Bare),
    row("the note of a delivery is lost").store(DELIVER, NoAnswer(Reset)),
    row("a delivery cannot be noted").store(DELIVER, NeverArrives(Silence)),
    row("the note that a result was collected is lost").store(COLLECT, NoAnswer(Reset)).act(Collect),
    row("that a result was collected cannot be noted").store(COLLECT, NeverArrives(Reset)).then(Refused).act(Collect),
    row("a settlement's answer is lost").store(SETTLE, NoAnswer(Reset)),
    row("a settlement is answered by silence").store(SETTLE, NoAnswer(Silence)).act(Bare),
    row("half a settlement's answer, then the end").store(SETTLE, HalfAnswer(Close)),
    row("a settlement never arrives").store(SETTLE, NeverArrives(Reset)),
    row("a gateway cannot say that it lives").store(PRESENT, NeverArrives(Silence)),
    // people
    row("an approval's answer is lost").store(APPROVE, NoAnswer(Reset)).act(Approve).says(&[Status(503)], 2),
    row("an approval is answered by silence").store(APPROVE, NoAnswer(Silence)).act(Approve).says(&[Status(503)], 3),
    row("an approval never arrives").store(APPROVE, NeverArrives(Reset)).act(Approve).says(&[Status(503)], 2),
    row("a redemption's answer is lost").store(REDEEM, NoAnswer(Reset)).act(Approve).says(&[Status(200)], 2),
    row("a redemption never arrives").store(REDEEM, NeverArrives(Silence)).act(Approve).says(&[Status(200)], 3),
    row("a redeemed operation's commit loses its answer").store(COMMIT, NoAnswer(Reset)).act(Approve).says(&[Status(200)], 2),
    row("a rejection's answer is lost").store(REJECT, NoAnswer(Reset)).act(Reject).says(&[Status(503)], 2),
    row("a rejection never arrives").store(REJECT, NeverArrives(Reset)).act(Reject).says(&[Status(503)], 2),
    row("the line goes dark under a held call").store_line(Dark).act(Held).says(&[Pending], 27),
    row("nobody listens under a held call").store_line(Refused).act(Held).says(&[Pending], 27),
    // slow
    row("every answer is up to 200 ms late").store_line(Slow { seed: 1, most: 200 }).says(&[Hash], 8),
    row("every answer is up to a second late").store_line(Slow { seed: 1, most: 1000 }).says(&[Hash, Pending, Unavailable], 30),
    row("every answer is up to 5 s late, seed 2").store_line(Slow { seed: 2, most: 5000 }).says(&[Hash, Pending, Unavailable], 40),
    row("every answer is up to 5 s late, seed 3").store_line(Slow { seed: 3, most: 5000 }).act(Bare).says(&[Hash, Pending, Unavailable], 40),
    row("every answer drips").store_line(Drip(1)).says(&[Hash, Pending, Unavailable], 30),
    row("the third script after the request is the last that passes").store(ANY, Passes).then(Dark).says(&[Unavailable], 6),
    // Redis itself
    row("Redis is full").server(Server::Full).says(&[Unavailable], 3),
    row("Redis has become a replica").server(Server::ReadOnly).says(&[Unavailable], 3),
    row("Redis has too few replicas").server(Server::NoReplicas).says(&[Unavailable], 3),
    row("Redis is busy with a script").server(Server::Busy).says(&[Unavailable], 3),
    row("Redis has forgotten the scripts").server(Server::Forgets),
    row("the gateway's rights were taken away").server(Server::Forbids).act(Bare).says(&[Unavailable], 3),
    row("Redis stands still for a second").server(Server::Paused),
    row("Redis has hung up").server(Server::HungUp).says(&[Hash, Unavailable], 4),
    row("Redis was killed").server(Server::Down).says(&[Unavailable], 3),
];
