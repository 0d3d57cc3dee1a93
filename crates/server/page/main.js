// Puts the page together: asks the broker again and again, and draws what it answers.

import { Link } from "/live.js";
import * as api from "./api.js";
import { channelColumns, connectionColumns, nameOf, TEXTS } from "./columns.js";
import { composed, confirmed, notify } from "./confirm.js";
import { Detail, published } from "./detail.js";
import { count, whole } from "./format.js";
import { encoded, parsed } from "./names.js";
import { Past } from "./spark.js";
import { next, set, Table, text } from "./table.js";
import { Totals } from "./totals.js";
import { MOST, View } from "./view.js";

/// Milliseconds between two questions; and how many times as long as the answer takes, at least, so that a page costs a busy broker
/// little.
const EVERY = 2000;
const IDLE = 10;
/// Milliseconds that a rate is about, at least.
const LEAST = 1000;
/// Milliseconds after the last key before the filter is asked for.
const TYPING = 200;

const element = (id) => document.getElementById(id);
const link = new Link(() => detail.renew());
const view = new View(location);
const totals = new Totals();
const channelPast = new Past();
const connectionPast = new Past();

const table = new Table({
    sort: (key) => {
        view.sort = next(view.sort, key, TEXTS.has(key));
        look(false);
    },
});
const detail = new Detail({
    close: () => closes(),
    changed: () => ask(),
    subscribers: ({ name }) => {
        view.show("connections");
        Object.assign(view, { channel: null, filter: name, sort: "-dropped" });
        look(true);
    },
});
const rows = { channels: [], connections: [] };
/// The rates of what is shown, by the key of its row.
const rates = new Map();
const keys = { channels: encoded, connections: ({ id }) => String(id) };
const columns = {
    channels: channelColumns({ open: (row) => {
        view.channel = { name: row.name, name_hex: row.name_hex };
        look(true);
    } }, (row) => rates.get(encoded(row)) ?? []),
    connections: connectionColumns({ kick: kicks }, (row) => rates.get(String(row.id)) ?? [null, null]),
};

/// Closes the detail; who uses the keyboard is at its row again.
function closes() {
    const key = detail.key;
    view.channel = null;
    look(true);
    table.focus(key);
}

/// Shows what the view says, and keeps it in the address; `step` makes the back button return to what was before.
function look(step) {
    const address = location.pathname + view.search();
    if (address !== location.pathname + location.search) {
        history[step ? "pushState" : "replaceState"](null, "", address);
    }
    show();
    ask();
}

function show() {
    for (const name of ["channels", "connections"]) {
        element(`show-${name}`).setAttribute("aria-pressed", String(view.table === name));
    }
    if (element("filter").value !== view.filter) {
        element("filter").value = view.filter;
    }
    if (detail.key !== (view.channel === null ? null : encoded(view.channel))) {
        detail.open(view.channel);
    }
}

let asking = null;
let timer = 0;

/// Asks now; an answer that is still awaited is not waited for.
async function ask() {
    clearTimeout(timer);
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const began = performance.now();
    let failed = false;
    try {
        const [name, channel] = [view.table, view.channel];
        const [answer, row] = await Promise.all([
            api.table(name, view, mine.signal),
            channel === null ? null : api.channel(channel, mine.signal),
        ]);
        if (asking !== mine) {
            return;
        }
        draw(name, answer);
        if (channel !== null) {
            detail.fill(row);
        }
    } catch (error) {
        if (asking !== mine) {
            return;
        }
        failed = true;
        refused(error);
    }
    const pause = Math.max(EVERY, (performance.now() - began) * (failed ? 1 : IDLE));
    if (!failed) {
        link.say("live", "live");
        link.heard(pause);
    }
    timer = setTimeout(() => document.hidden || ask(), pause);
}

function refused(error) {
    if (error.name === "TimeoutError") {
        // The link says for how long there has been no data.
    } else if (error instanceof api.Refused && error.status === 401) {
        link.say("away", "this server asks for its access token: load the page again");
    } else if (error instanceof api.Refused && error.status === 400) {
        // A link from somebody else: an order that this table does not have.
        view.sort = "";
        link.say("away", error.message);
    } else {
        link.say("away", error instanceof api.Refused ? error.message : "the broker is away, asking again");
    }
}

function remember(name, answer) {
    rates.clear();
    const now = performance.now();
    for (const row of answer[name]) {
        const key = keys[name](row);
        if (name === "channels") {
            rates.set(key, channelPast.add(key, [row.published_per_s, row.delivered_per_s]));
            continue;
        }
        const points = connectionPast.add(key, [now, row.published, row.delivered]);
        const last = points.at(-1);
        // An answer to a click comes sooner than a rate has a meaning.
        const before = points.findLast(([time]) => now - time >= LEAST);
        const since = (at) => Math.max(0, last[at] - before[at]) / ((now - before[0]) / 1000);
        rates.set(key, before === undefined ? [null, null] : [since(1), since(2)]);
    }
}

function draw(name, answer) {
    remember(name, answer);
    rows[name] = answer[name];
    totals.draw(answer.totals, answer.unheard, performance.now());
    set(element("table"), "data-shows", name);
    table.draw(columns[name], rows[name], keys[name], view.sort || (name === "channels" ? "" : "id"), detail.key);
    const [number, noun] = [answer.matched, name.slice(0, -1)];
    const some = rows[name].length < number;
    const matching = view.filter === "" ? "" : " that match";
    text(element("few"), some ? `${whole(rows[name].length)} of ${count(number, noun)}${matching}` : view.filter === "" ? "" : `${count(number, noun)}${number === 1 ? " matches" : " match"}`);
    const isCut = some && view.limit >= MOST;
    text(element("cut"), isCut ? `${whole(rows[name].length)} of ${whole(number)}; filter for the others` : "");
    text(element("caption"), `${count(number, noun)}, with figures that change`);
    element("more").hidden = !view.canShowMore(number);
    // Channels of the program itself are none of its user's: how to begin is said as if there were none.
    element("empty").hidden = number > 0 && !(answer.are_own && view.filter === "");
    element("table").hidden = number === 0;
    text(element("empty-title"), view.filter === "" ? `There is no ${noun} of yours yet. Two terminals make the first one:` : `No ${noun} matches the filter.`);
    element("empty-how").hidden = view.filter !== "";
}

async function kicks(row) {
    const name = row.address ?? nameOf(row);
    const words = "The connection is closed at once. What waits for it goes to other consumers, or is lost if it is a topic's.";
    if (await confirmed("Kick the connection", words, name, "Kick", [], "Type the address above to go on")) {
        try {
            await api.kick(row.id);
        } catch (error) {
            await notify("Kick the connection", error.message);
        }
        ask();
    }
}

for (const name of ["channels", "connections"]) {
    element(`show-${name}`).addEventListener("click", () => {
        view.show(name);
        look(true);
    });
}
let typing = 0;
element("filter").addEventListener("input", ({ target }) => {
    view.filter = target.value;
    clearTimeout(typing);
    typing = setTimeout(() => look(false), TYPING);
});
element("more").addEventListener("click", () => {
    view.more();
    look(false);
});
element("publish-to").addEventListener("click", async () => {
    const message = await composed();
    if (message === null) {
        return;
    }
    try {
        const channel = parsed(message.name);
        const answer = await api.publish(channel, message.body);
        view.channel = channel;
        look(true);
        detail.say(published(answer), false);
    } catch (error) {
        await notify("Publish a message", error.message);
    }
});
addEventListener("keydown", (event) => {
    if (event.key === "Escape" && view.channel !== null && !document.querySelector("dialog[open]")) {
        closes();
    }
});
addEventListener("popstate", () => {
    Object.assign(view, new View(location));
    show();
    ask();
});
document.addEventListener("visibilitychange", () => document.hidden || ask());
show();
ask();
