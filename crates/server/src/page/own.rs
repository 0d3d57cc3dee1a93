//! Channels and subscriptions that are no user's: a page leaves them out, or does not count them.

use crate::hub::Hub;
use crate::native::NULL;
use crate::socket::Origin;
use switchboard_broker::{ChannelStatus, ConnectionStatus, Kind, Page, StatusQuery, Totals};

/// Maximum number of channels that are compared with the subscriptions of the program's own services.
const FEW: usize = 16;

/// Returns true if the channel is only the name that connections give which only send.
pub(super) fn is_placeholder(channel: &ChannelStatus) -> bool {
    channel.name == NULL && channel.published == 0
}

/// Removes the placeholder from the number of channels.
pub(super) fn without_placeholder(hub: &Hub, mut totals: Totals) -> Totals {
    let has_placeholder = hub.channel(NULL).is_some_and(|(channel, _)| is_placeholder(&channel));
    totals.channels = totals.channels.saturating_sub(usize::from(has_placeholder));
    totals
}

/// Removes the placeholder from the subscriptions of a connection.
pub(super) fn without_null(mut connection: ConnectionStatus) -> ConnectionStatus {
    connection.subscriptions.retain(|name| name != NULL);
    connection
}

/// Returns true if nobody but the program's own services uses these channels: its user has made none yet.
pub(super) fn are_own(hub: &Hub, channels: &[ChannelStatus]) -> bool {
    if channels.len() > FEW || channels.iter().any(|channel| channel.kind == Kind::Queue || channel.published > 0) {
        return false;
    }
    // Services connect at the start of the program, so they are among the first connections.
    let connections = Page::After { cursor: 0, limit: Page::MAX };
    let (status, origins) = hub.status(&StatusQuery { channels: Page::Top(0), connections });
    let own = status.connections.iter().zip(origins).filter(|(_, origin)| origin.and_then(Origin::service).is_some());
    let names: Vec<_> = own.flat_map(|(connection, _)| &connection.subscriptions).collect();
    let subscribers = |channel: &ChannelStatus| names.iter().filter(|name| ***name == channel.name).count();
    channels.iter().all(|channel| subscribers(channel) >= channel.subscribers)
}
