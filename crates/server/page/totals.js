// The sums over the whole broker, and the rates that their differences give.

import { bytes, count, rate, whole } from "./format.js";
import { shown } from "./names.js";
import { spark } from "./spark.js";
import { set, text } from "./table.js";

const element = (id) => document.getElementById(id);

/// Seconds that rates are about, at least: what is asked for by a click comes sooner.
const LEAST = 1;

export class Totals {
    constructor() {
        this.before = null;
        this.points = [];
    }

    /// A broker that has started anew counts from 0.
    rates(totals, now) {
        const before = this.before;
        if (before !== null && (now - before.now) / 1000 < LEAST && totals.published >= before.totals.published) {
            return null;
        }
        this.before = { totals, now };
        const isNew = before === null || totals.published < before.totals.published || totals.delivered < before.totals.delivered;
        const seconds = isNew ? 0 : (now - before.now) / 1000;
        if (seconds <= 0) {
            return null;
        }
        const since = (name) => (totals[name] - before.totals[name]) / seconds;
        return [since("published"), since("delivered")];
    }

    /// `unheard` are the last topics whose messages nobody got.
    draw(totals, unheard, now) {
        const rates = this.rates(totals, now);
        if (rates !== null) {
            this.points.push(rates);
            this.points.splice(0, this.points.length - 60);
            [["in", 0], ["out", 1]].forEach(([id, at]) => {
                text(element(id), rate(rates[at]));
                spark(element(`${id}-spark`), this.points.map((point) => [point[at]]));
            });
        }
        const { dropped_slow: slow, dropped_no_subscribers: noSubscribers, dropped_publisher_gone: gone } = totals;
        const { dropped_overflow: overflow, dropped_ended: ended, dropped_dead: dead } = totals;
        text(element("dropped"), whole(slow + noSubscribers + gone + overflow + ended + dead));
        const why = [[slow, "to slow subscribers"], [noSubscribers, "without subscribers"], [gone, "of publishers that are gone"],
            [overflow, "of full queues"], [ended, "of queues that ended"], [dead, "dead letters"]];
        text(element("dropped-why"), why.filter(([number]) => number > 0).map(([number, words]) => `${whole(number)} ${words}`).join(" \u00b7 "));
        const topics = unheard.map((topic) => `${shown(topic)} (${whole(topic.dropped)})`);
        text(element("unheard"), topics.length === 0 ? "" : `had no subscriber: ${topics.join(", ")}`);
        set(element("unheard"), "title", topics.join("\n"));
        text(element("connections"), whole(totals.connections));
        const notable = [[totals.paused, "paused"], [totals.gone, "gone, with messages left"]].filter(([number]) => number > 0);
        const states = notable.map(([number, words]) => `${whole(number)} ${words}`).join(", ");
        text(element("paused"), states === "" ? count(totals.subscriptions, "subscription") : states);
        set(element("paused"), "data-bad", String(totals.paused > 0));
        text(element("memory"), bytes(totals.memory));
        text(element("budget"), `of ${bytes(totals.memory_budget)}`);
        element("meter").value = totals.memory / totals.memory_budget;
        text(element("channel-count"), whole(totals.channels));
        // The table has a row for each that is gone, too.
        text(element("connection-count"), whole(totals.connections + totals.gone));
    }
}
