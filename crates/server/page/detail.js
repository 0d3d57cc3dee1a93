// One channel: its figures, what is published to it, and what can be done with it.

import * as api from "./api.js";
import { bytes, clock, rate, span, whole } from "./format.js";
import { encoded, isQueue, shown } from "./names.js";
import { Queue } from "./queue.js";
import { button, make, text } from "./table.js";
import { Tail } from "./tail.js";

const FIGURES = [
    ["Depth", (row) => whole(row.depth)], ["In/s", (row) => rate(row.published_per_s)], ["Out/s", (row) => rate(row.delivered_per_s)],
    ["Subscribers", (row) => whole(row.subscribers)], ["Paused publishers", (row) => whole(row.paused_publishers)], ["Buffered", (row) => bytes(row.bytes)],
    ["Published", (row) => whole(row.published)], ["Delivered", (row) => whole(row.delivered)], ["Dropped", (row) => whole(row.dropped)],
];
/// Figures of queues only.
const QUEUE_FIGURES = [
    ["In flight", (row) => whole(row.in_flight)], ["Oldest", (row) => (row.oldest_s === null ? "\u2013" : span(row.oldest_s))], ["Postponed", (row) => whole(row.postponed)],
    ["Returned", (row) => whole(row.returned)], ["Dead letters", (row) => whole(row.dead_lettered)],
];

/// The words for the answer to a message that was published.
export const published = ({ dropped }) => (dropped ? "Published. Nobody subscribes: the message was dropped." : "Published.");

export class Detail {
    /// `on` has close(), changed() when something was done, and subscribers(channel) to show who subscribes.
    constructor(on) {
        this.on = on;
        this.section = document.getElementById("detail");
        this.channel = null;
        this.tail = null;
    }

    get key() {
        return this.channel === null ? null : encoded(this.channel);
    }

    /// Shows another channel, or none for null.
    open(channel) {
        this.tail?.close();
        this.tail = null;
        this.channel = channel;
        this.section.hidden = channel === null;
        /// The last number of published messages, and since when it counts if the channel was made anew meanwhile.
        [this.published, this.counted, this.isForgotten] = [null, null, false];
        if (channel === null) {
            this.section.replaceChildren();
            return;
        }
        const name = make("h2", "", shown(channel));
        name.id = "detail-name";
        const isOfQueue = isQueue(channel);
        this.queue = isOfQueue ? new Queue(channel, (done, work) => this.act(done, work)) : null;
        this.figures = [...FIGURES, ...(isOfQueue ? QUEUE_FIGURES : [])].map(([title, value]) => [make("dd", "", "\u2013"), title, value]);
        const figures = make("dl", "figures", ...this.figures.map(([cell, title]) => make("div", "", make("dt", "", title), cell)));
        this.state = make("p", "state");
        this.state.setAttribute("role", "status");
        const close = button("close", "\u00d7", () => this.on.close());
        close.setAttribute("aria-label", "Close");
        this.topics = make("p", "state");
        this.gone = make("p", "state");
        this.since = make("p", "state");
        this.subscribers = button("small", "Show subscribers", () => this.on.subscribers(this.channel));
        this.subscribers.title = "Connections that subscribe to this name, those that missed most first";
        this.subscribers.hidden = true;
        const actions = make("p", "actions", ...(this.queue?.actions() ?? []), this.subscribers);
        const [peek, waiting] = this.queue?.looking() ?? [[], []];
        const [watch, published] = this.looking();
        // All buttons stand before the messages: any number of those would push the others down.
        const messages = make("h3", "", "Messages ", ...peek, watch);
        this.section.replaceChildren(close, name, figures, this.since, this.topics, this.gone, actions, this.state, ...this.sending(), messages, ...waiting, ...published);
        this.section.scrollTop = 0;
        close.focus({ preventScroll: true });
    }

    /// A stream that was silent may be none any more.
    renew() {
        this.tail?.renew();
    }

    /// The figures of the channel now; null if there is none of this name.
    fill(row) {
        this.count(row);
        this.figures.forEach(([cell, , value]) => text(cell, row === null ? "\u2013" : value(row)));
        this.queue?.fill(row);
        // The filter that finds them takes text alone.
        this.subscribers.hidden = !(row?.subscribers > 0) || row.name_hex !== undefined;
        text(this.gone, row === null ? "Nobody listens, and nothing waits: the broker keeps no channel of this name." : row.is_paused ? "This queue is paused: its consumers get nothing." : "");
        text(this.since, this.counted === null ? "" : `The broker had forgotten this channel, since nobody used it: its figures count anew since ${clock(this.counted)}.`);
        text(this.topics, row?.topics ? `A durable subscription to ${row.topics}.` : "");
        this.gone.dataset.warn = String(row?.is_paused === true);
    }

    /// Notices that the broker has made the channel anew, with figures from 0.
    count(row) {
        if (row !== null && this.published !== null && (this.isForgotten || row.published < this.published)) {
            this.counted = new Date();
        }
        this.isForgotten = row === null;
        this.published = row?.published ?? this.published;
    }

    say(words, isBad) {
        text(this.state, words);
        this.state.dataset.bad = String(isBad);
    }

    /// Does something, and says what came of it.
    async act(done, work) {
        const channel = this.channel;
        let [words, isBad] = ["", false];
        try {
            words = done(await work(channel));
        } catch (error) {
            [words, isBad] = [error.message, true];
        }
        if (this.channel === channel) {
            this.say(words, isBad);
        }
        this.on.changed();
    }

    /// The button that watches, and the messages that it shows.
    looking() {
        const list = make("ol", "messages");
        list.setAttribute("aria-label", "Messages as they are published");
        const state = make("p", "state");
        const go = button("small", "Watch", () => {
            if (this.tail === null) {
                this.tail = new Tail(this.channel, list, state);
                this.tail.onend = () => ends();
                go.textContent = "Stop";
            } else {
                this.tail.close();
                state.textContent = "";
                ends();
            }
        });
        const ends = () => {
            this.tail = null;
            go.textContent = "Watch";
        };
        go.id = "watch";
        list.id = "tail";
        go.title = "Messages as they are published";
        return [go, [state, list]];
    }

    sending() {
        const body = document.createElement("textarea");
        body.id = "body";
        body.spellcheck = false;
        body.setAttribute("aria-label", "Message");
        const form = make("form", "", body);
        const send = make("button", "small", "Publish");
        form.append(make("p", "send", send));
        form.addEventListener("submit", async (event) => {
            event.preventDefault();
            send.disabled = true;
            await this.act(published, (channel) => api.publish(channel, body.value));
            send.disabled = false;
        });
        return [make("h3", "", "Publish a message"), form];
    }
}
