// The two tables' columns.

import { bytes, count, rate, whole } from "./format.js";
import { shown } from "./names.js";
import { spark } from "./spark.js";
import { button, make, set, text } from "./table.js";

const SVG = "http://www.w3.org/2000/svg";
/// Columns of text.
export const TEXTS = new Set(["name", "kind", "id", "address"]);

const isZero = (value) => value === 0 || value === undefined || value === null;

/// A column of figures; `bad` colors those that are not 0.
const figure = (title, key, value, format = whole, kind = "", bad = "") => ({
    title, key, kind: `number ${kind}`,
    fill: (cell, row) => {
        const amount = value(row);
        text(cell, format(amount));
        cell.classList.toggle("zero", isZero(amount));
        if (bad !== "") {
            cell.classList.toggle(bad, !isZero(amount));
        }
    },
});

/// Marks beside a name, [words, classes]: a user has to know these at any width, whichever columns have room.
function marksOf(row) {
    return [
        ...(row.is_paused ? [["paused", "paused small-only"]] : []),
        ...(row.paused_publishers > 0 ? [[`${count(row.paused_publishers, "publisher")} paused`, "paused narrow-only"]] : []),
        ...(row.dropped > 0 ? [[`${whole(row.dropped)} dropped`, "paused small-only"]] : []),
        ...(row.dead_lettered > 0 ? [[`${whole(row.dead_lettered)} dead`, "dead narrow-only"]] : []),
    ];
}

/// `on` has open(row); `rates` gives the points of a channel's sparkline.
export const channelColumns = (on, rates) => [
    {
        title: "Name", key: "name", kind: "",
        make: (cell, row) => cell.append(button("name", "", () => on.open(row())), make("span", "marks", "")),
        fill: (cell, row) => {
            const marks = marksOf(row);
            if (cell.lastChild.textContent !== marks.map(([words]) => words).join("")) {
                cell.lastChild.replaceChildren(...marks.map(([words, kind]) => make("span", `kind ${kind}`, words)));
            }
            text(cell.firstChild, shown(row));
            set(cell.firstChild, "title", shown(row));
        },
    },
    {
        title: "Kind", key: "kind", kind: "mid",
        make: (cell) => cell.append(make("span", "kind", "")),
        fill: (cell, row) => {
            text(cell.firstChild, row.is_paused ? "paused" : row.kind);
            cell.firstChild.classList.toggle("queue", row.kind === "queue");
            cell.firstChild.classList.toggle("paused", row.is_paused);
        },
    },
    figure("Depth", "depth", (row) => row.depth),
    figure("In flight", "flight", (row) => row.in_flight, whole, "wide"),
    figure("In/s", "in", (row) => row.published_per_s, rate),
    figure("Out/s", "out", (row) => row.delivered_per_s, rate),
    {
        title: "Rates", key: null, kind: "mid",
        make: (cell) => {
            const svg = document.createElementNS(SVG, "svg");
            svg.setAttribute("class", "spark");
            svg.setAttribute("aria-hidden", "true");
            cell.append(svg);
        },
        fill: (cell, row) => spark(cell.firstChild, rates(row)),
    },
    figure("Subscribers", "subscribers", (row) => row.subscribers, whole, "mid"),
    figure("Paused publishers", null, (row) => row.paused_publishers, whole, "wide", "warn"),
    figure("Buffered", "bytes", (row) => row.bytes, bytes, "wide"),
    figure("Dropped", "dropped", (row) => row.dropped, whole, "mid", "warn"),
    figure("Dead", "dead", (row) => row.dead_lettered, whole, "wide", "bad"),
];

/// The name of a connection: whose it is, if it is one of this program.
export const nameOf = (row) => (row.service !== null ? `${row.service} (own)` : row.address ?? `connection ${row.id}`);

/// The state of a connection, and whether somebody should care; `published` is its messages a second, null if that is not known yet.
export function stateOf(row, published) {
    if (row.gone) {
        return [row.waits_for, ""];
    }
    if (row.paused !== null) {
        return [`paused: ${row.paused}`, "warn"];
    }
    if (row.stalled) {
        return ["stalled: it reads nothing, and its messages went to others", "bad"];
    }
    if (row.outbox > 0) {
        const unread = bytes(row.outbox);
        return row.slow ? [`slow: ${unread} wait until its peer reads`, "warn"] : [`waits until its peer reads ${unread}`, ""];
    }
    const words = row.waits_for !== "idle" ? `waits for ${row.waits_for}` : published > 0 ? "publishes" : "idle";
    return [`${row.slow ? "slow, " : ""}${words}`, row.slow ? "warn" : ""];
}

/// `on` has kick(row); `rates` gives the messages a second of a connection, in and out.
export const connectionColumns = (on, rates) => [
    {
        title: "Address", key: "address", kind: "address",
        fill: (cell, row) => {
            text(cell, nameOf(row));
            set(cell, "title", `connection ${row.id}`);
        },
    },
    {
        title: "State", key: "state", kind: "reason",
        fill: (cell, row) => {
            const [words, kind] = stateOf(row, rates(row)[0]);
            text(cell, words);
            cell.className = `reason ${kind}`;
        },
    },
    {
        title: "Subscriptions", key: "subscriptions", kind: "text mid",
        fill: (cell, row) => {
            const names = row.subscriptions.map((name) => shown({ name }));
            text(cell, names.join(", "));
            set(cell, "title", names.join("\n"));
        },
    },
    figure("In/s", null, (row) => rates(row)[0], rate, "mid"),
    figure("Out/s", null, (row) => rates(row)[1], rate, "mid"),
    figure("Published", "published", (row) => row.published, whole, "wide"),
    figure("Delivered", "delivered", (row) => row.delivered, whole, "wide"),
    figure("Outbox", "outbox", (row) => row.outbox, bytes, "mid"),
    figure("Unacked", "unacked", (row) => row.unacked, whole, "wide"),
    figure("Dropped", "dropped", (row) => row.dropped, whole, "mid", "warn"),
    {
        title: "", key: null, kind: "number",
        make: (cell, row) => cell.append(button("small danger", "Kick\u2026", () => on.kick(row()))),
        // Without its own connections the program would not do its work, and each of them comes back at once. One that is gone cannot be closed.
        fill: (cell, row) => { cell.firstChild.hidden = row.service !== null || row.gone; },
    },
];
