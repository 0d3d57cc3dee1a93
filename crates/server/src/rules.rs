//! The channel rules of a server, which may be replaced while it runs.

use crate::hub::Hub;
use crate::sync::Mutex;
use std::sync::{Arc, Weak};
use switchboard_broker::ChannelRule;

/// The channel rules of a [`Server`](crate::Server), from [`Server::channel_rules`](crate::Server::channel_rules). A clone
/// is the same rules.
#[derive(Clone, Debug)]
pub struct ChannelRules(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rules: Vec<ChannelRule>,
    /// The broker that follows them, once the server runs.
    hub: Weak<Hub>,
}

impl ChannelRules {
    pub(crate) fn new(rules: Vec<ChannelRule>) -> ChannelRules {
        ChannelRules(Arc::new(Mutex::new(State { rules, hub: Weak::new() })))
    }

    /// Replaces the rules. Whatever is published after this call follows the new ones, to channels that are there as to new
    /// ones. What waits in a queue stays, also where its bound is lower now; publishers that wait are tried anew.
    pub fn set(&self, rules: Vec<ChannelRule>) {
        let mut state = self.0.lock();
        state.rules = rules;
        state.apply();
    }

    /// A broker follows the rules from now on.
    pub(crate) fn follow(&self, hub: &Arc<Hub>) {
        let mut state = self.0.lock();
        state.hub = Arc::downgrade(hub);
        state.apply();
    }
}

impl State {
    fn apply(&self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.set_rules(self.rules.clone());
        }
    }
}
