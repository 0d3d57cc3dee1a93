// The table below the charts: the legend, the switch of each line, and the same figures for who cannot see lines.
// Its values change in place and are not announced: a screen reader reads them when it is asked to.

import { count, number, span } from "./format.js";

const COLUMNS = [
    ["", "line"], ["Name", ""], ["Service", "wide"], ["CPU %", "number"], ["Peak", "number wide"],
    ["Memory MB", "number"], ["Peak", "number wide"], ["State", "state"], ["Up", "number wide"], ["Version", "wide"],
];
const GROUPED = new Set(["Service", "Up", "Version"]);
/// More rows than this would only make the page slow; the filter finds the others.
const ROWS = 200;
const SVG = "http://www.w3.org/2000/svg";

export class Table {
    /// `on` has toggle(key), and hover(key or null).
    constructor(on) {
        this.on = on;
        this.head = document.getElementById("head");
        this.body = document.getElementById("rows");
        this.caption = document.getElementById("caption");
        this.rows = new Map();
        this.grouped = null;
    }

    /// `peaks` gives the highest values in the window by a line's key, `latest` the last ones in a window of the past; null where
    /// the values are of now.
    draw(lines, peaks, latest, grouped, now) {
        if (this.grouped !== grouped) {
            this.grouped = grouped;
            this.rows.clear();
            this.body.replaceChildren();
            const row = document.createElement("tr");
            row.append(...this.columns().map(([title, kind]) => cell("th", kind, title === "" ? "Drawn" : title)));
            row.firstChild.firstChild.replaceWith(unseen("Drawn"));
            row.querySelectorAll("th").forEach((head) => { head.scope = "col"; });
            this.head.replaceChildren(row);
        }
        const sorted = lines.toSorted((a, b) => order(a, b)).slice(0, ROWS);
        const kept = new Set(sorted.map((line) => line.key));
        for (const [key, parts] of this.rows) {
            if (!kept.has(key)) {
                parts.row.remove();
                this.rows.delete(key);
            }
        }
        sorted.forEach((line, at) => {
            let parts = this.rows.get(line.key);
            if (parts === undefined) {
                parts = this.row(line.key);
                this.rows.set(line.key, parts);
            }
            if (this.body.children[at] !== parts.row) {
                this.body.insertBefore(parts.row, this.body.children[at] ?? null);
            }
            const used = latest === null ? line : latest.get(line.key);
            this.fill(parts, line, peaks.get(line.key), used, now);
        });
        text(this.caption, `${count(lines.length, grouped ? "service" : "process")}: the ${latest === null ? "latest" : "range's last"} CPU in percent of one core, and resident memory in MB, with the peaks of the range`);
    }

    columns() {
        return COLUMNS.filter(([title]) => !this.grouped || !GROUPED.has(title));
    }

    /// The parts of a new row that change.
    row(key) {
        const row = document.createElement("tr");
        const cells = this.columns().map(([title, kind]) => [title, cell(title === "Name" ? "th" : "td", kind, "")]);
        row.append(...cells.map(([, made]) => made));
        const head = row.querySelector("th");
        head.scope = "row";
        const toggle = document.createElement("button");
        toggle.type = "button";
        toggle.className = "toggle";
        const stroke = sample(toggle);
        toggle.addEventListener("click", () => this.on.toggle(key));
        row.firstChild.replaceChildren(toggle);
        row.addEventListener("pointerenter", () => this.on.hover(key));
        row.addEventListener("pointerleave", () => this.on.hover(null));
        const named = new Map(cells.filter(([title]) => title !== "" && title !== "Peak"));
        const peaks = cells.filter(([title]) => title === "Peak").map(([, made]) => made);
        return { row, head, toggle, stroke, named, peaks };
    }

    fill({ row, head, toggle, stroke, named, peaks }, line, peak, used, now) {
        const process = line.members[0];
        const name = this.grouped && line.members.length > 1 ? `${line.name} (${line.members.length})` : line.name;
        set(toggle, "aria-pressed", String(line.shown));
        set(toggle, "aria-label", `Draw ${line.name}`);
        set(stroke, "stroke", line.style.stroke);
        set(stroke, "stroke-dasharray", line.style.dash.join(" "));
        set(row, "data-drawn", String(line.drawn));
        set(row, "data-state", line.state);
        set(head, "title", [name, process.host && `on ${process.host}`, process.pid && `process ${process.pid}`].filter(Boolean).join(", "));
        const started = process.started ?? null;
        const values = {
            Name: name,
            Service: process.service ?? "",
            "CPU %": number(used?.cpu),
            "Memory MB": number(used?.mem),
            State: stateOf(line, now),
            Up: started !== null && line.state === "live" ? span(now - started) : "",
            Version: process.version ?? "",
        };
        named.forEach((element, title) => text(element, values[title]));
        const isOdd = line.leak !== null || line.clock !== null;
        named.get("State").classList.toggle("leak", isOdd && line.state === "live");
        text(peaks[0], number(peak?.cpu));
        text(peaks[1], number(peak?.mem));
    }

    focus(key) {
        for (const [other, { row }] of this.rows) {
            set(row, "data-focus", String(other === key));
        }
    }
}

function stateOf(line, now) {
    if (line.state === "live") {
        if (line.clock) {
            return `live, ${line.clock}`;
        }
        return line.leak ? `leaks ${line.leak.mb_per_hour.toFixed(0)} MB/h` : "live";
    }
    const last = Math.max(...line.members.map((process) => process.last));
    return `${line.state === "silent" ? "silent" : "ended"} ${span(now - last)}`;
}

/// Those in trouble first, those that have ended last, those for which the charts have no room behind the others; else by name, so that no row jumps.
function order(a, b) {
    const rank = { silent: 0, live: 1, gone: 2 };
    return rank[a.state] - rank[b.state] || Number(a.shown && !a.drawn) - Number(b.shown && !b.drawn) || a.name.localeCompare(b.name, "en", { numeric: true });
}

function cell(tag, kind, words) {
    const made = document.createElement(tag);
    made.className = kind;
    made.append(words);
    return made;
}

function unseen(words) {
    const made = document.createElement("span");
    made.className = "unseen";
    made.append(words);
    return made;
}

/// A piece of the line, of which the stroke is returned.
function sample(parent) {
    const svg = document.createElementNS(SVG, "svg");
    const line = document.createElementNS(SVG, "line");
    svg.setAttribute("viewBox", "0 0 24 16");
    svg.setAttribute("aria-hidden", "true");
    for (const [name, value] of [["x1", 1], ["x2", 23], ["y1", 8], ["y2", 8], ["stroke-width", 3]]) {
        line.setAttribute(name, value);
    }
    svg.append(line);
    parent.append(svg);
    return line;
}

/// Touches the page only where something has changed.
function text(element, words) {
    if (element.textContent !== words) {
        element.textContent = words;
    }
}

function set(element, name, value) {
    if (element.getAttribute(name) !== value) {
        element.setAttribute(name, value);
    }
}
