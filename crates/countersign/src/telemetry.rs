//! Traces, metrics and the trail of each log line. Nothing here waits on the way of a request, and what is not
//! recorded costs next to nothing: a span that nobody records is never made.

mod collector;
mod metered;
mod outlet;
mod steps;
mod watch;

pub(crate) use self::{
    collector::{Collector, Protocol},
    metered::{MeteredChronicle, MeteredJournal, MeteredLedger},
    outlet::{Exporting, Outlet},
    steps::{is_whole, recorded},
    watch::{Watch, trail_of},
};
