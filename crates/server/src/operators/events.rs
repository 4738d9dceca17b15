//! Server-sent events: the overview whenever it changed. Who wants details asks the lists.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _, stream};

use super::{Desk, Door, Problem, access::Viewer, books::overview_of};

/// How often the books are looked at for each listener.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// `GET /events`
pub(crate) async fn stream(
    _: Viewer,
    State(desk): Door,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let mut closing = desk.closing.clone();
    let closed = async move { drop(closing.wait_for(|closing| *closing).await) };
    let changes = stream::unfold((desk, String::new()), |(desk, shown)| async move {
        let now = next(&desk, &shown).await;
        let event = Event::default().event("overview").data(now.as_str());
        Some((Ok(event), (desk, now)))
    });
    let changes = changes.take_until(Box::pin(closed));
    Ok(Sse::new(changes).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// The overview as soon as it differs from what was shown. A store that does not answer is asked again.
async fn next(desk: &Arc<Desk>, shown: &str) -> String {
    loop {
        if let Ok(overview) = overview_of(desk).await {
            let now = overview.to_string();
            if now != shown {
                return now;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
