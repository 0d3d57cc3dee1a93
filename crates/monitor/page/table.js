// The table below the charts: the legend, the switch of each line, and the same figures for who cannot see lines.
// Its values change in place and are not announced: a screen reader reads them when it is asked to.

import { count, number, span } from "./format.js";

const PEAK_CPU = "Peak %";
const PEAK_MEM = "Peak MB";
/// The title, the classes, and the name in the address by which it is sorted.
const COLUMNS = [
    ["", "line"], ["Name", "", "name"], ["State", "state", "state"], ["Service", "wide text", "service"], ["CPU %", "number", "cpu"],
    [PEAK_CPU, "number wide", "peak-cpu"], ["Memory MB", "number", "mem"], [PEAK_MEM, "number wide", "peak-mem"], ["Up", "number wide", "up"],
    ["Version", "wide extra text", "version"],
];
/// Columns of texts begin with the least, those of figures with the greatest.
const TEXTS = new Set(["name", "service", "state", "version"]);
const GROUPED = new Set(["Service", "Up", "Version"]);
/// More rows than this would only make the page slow; the filter finds the others.
const ROWS = 200;
/// Processes in trouble first.
const RANKS = { silent: 0, live: 1, gone: 2 };
const SVG = "http://www.w3.org/2000/svg";

export class Table {
    /// `on` has toggle(key), hover(key or null), and sort(name).
    constructor(on) {
        this.on = on;
        this.head = document.getElementById("head");
        this.body = document.getElementById("rows");
        this.caption = document.getElementById("caption");
        this.rows = new Map();
        this.grouped = null;
        /// The values under the cursor by a line's key, or null.
        this.under = null;
    }

    /// `peaks` gives the highest values in the window by a line's key, `latest` the last ones in a window of the past; null where
    /// the values are of now. Nobody knows who still lives if they are stale.
    draw(lines, peaks, latest, grouped, sort, now, isStale) {
        this.isStale = isStale;
        if (this.grouped !== grouped) {
            this.grouped = grouped;
            this.rows.clear();
            this.body.replaceChildren();
            const row = document.createElement("tr");
            row.append(...this.columns().map(([title, kind, key]) => cell("th", kind, title === "" ? unseen("Drawn") : this.sorter(title, key))));
            row.querySelectorAll("th").forEach((head) => { head.scope = "col"; });
            this.head.replaceChildren(row);
        }
        this.columns().forEach(([, , key], at) => {
            const isSorted = key !== undefined && sort.replace(/^-/, "") === key;
            set(this.head.firstChild.children[at], "aria-sort", isSorted ? (sort.startsWith("-") ? "descending" : "ascending") : "none");
        });
        const usedBy = (line) => (latest === null ? line : latest.get(line.key));
        const sorted = lines.toSorted(order(sort, usedBy, peaks)).slice(0, ROWS);
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
            parts.used = usedBy(line);
            this.fill(parts, line, peaks.get(line.key), now);
            this.use(line.key, parts);
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
        const named = new Map(cells.filter(([title]) => title !== ""));
        return { row, head, toggle, stroke, named, used: null };
    }

    /// The button in the head of a column.
    sorter(title, key) {
        const made = document.createElement("button");
        made.type = "button";
        made.className = "sort";
        made.append(title);
        made.addEventListener("click", () => this.on.sort(key));
        return made;
    }

    /// Shows the values under the cursor, or those of the rows again for null.
    cursor(values) {
        this.under = values;
        this.rows.forEach((parts, key) => this.use(key, parts));
    }

    use(key, { named, used }) {
        const shown = this.under?.get(key) ?? (this.under === null ? used : null);
        text(named.get("CPU %"), number(shown?.cpu));
        text(named.get("Memory MB"), number(shown?.mem));
    }

    fill({ row, head, toggle, stroke, named }, line, peak, now) {
        const process = line.members[0];
        const name = this.grouped && line.members.length > 1 ? `${line.name} (${line.members.length})` : line.name;
        set(toggle, "aria-pressed", String(line.shown));
        set(toggle, "aria-label", `Draw ${line.name}`);
        set(stroke, "stroke", line.style.stroke);
        set(stroke, "stroke-dasharray", line.style.dash.join(" "));
        set(row, "data-drawn", String(line.drawn));
        set(row, "data-state", line.state);
        set(head, "title", [name, process.host && `on ${process.host}`, process.pid && `process ${process.pid}`, process.version && `version ${process.version}`].filter(Boolean).join(", "));
        const started = process.started ?? null;
        const values = {
            Name: name,
            Service: process.service ?? "",
            [PEAK_CPU]: number(peak?.cpu),
            [PEAK_MEM]: number(peak?.mem),
            State: this.isStale && line.state === "live" ? "unknown" : stateOf(line, now),
            Up: started !== null && line.state === "live" ? span(now - started) : "",
            Version: process.version ?? "",
        };
        for (const [title, words] of Object.entries(values).filter(([title]) => named.has(title))) {
            text(named.get(title), words);
        }
        for (const title of ["Service", "Version"].filter((title) => named.has(title))) {
            set(named.get(title), "title", values[title]);
        }
        const isOdd = line.leak !== null || line.clock !== null;
        named.get("State").classList.toggle("leak", isOdd && line.state === "live");
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

const byText = (a, b) => a.localeCompare(b, "en", { numeric: true });

/// Those in trouble first, those that have ended last, those for which the charts have no room behind the others; else by name, so that no row jumps.
const usual = (a, b) => RANKS[a.state] - RANKS[b.state] || Number(a.shown && !a.drawn) - Number(b.shown && !b.drawn) || byText(a.name, b.name);

/// As somebody has chosen, or as usual. What has no value comes last either way.
function order(sort, usedBy, peaks) {
    const key = sort.replace(/^-/, "");
    const value = {
        name: (line) => line.name,
        service: (line) => line.members[0].service,
        cpu: (line) => usedBy(line)?.cpu,
        "peak-cpu": (line) => peaks.get(line.key)?.cpu,
        mem: (line) => usedBy(line)?.mem,
        "peak-mem": (line) => peaks.get(line.key)?.mem,
        state: (line) => RANKS[line.state],
        // The process that is up for longest was started first.
        up: (line) => (line.state === "live" && line.members[0].started ? -line.members[0].started : null),
        version: (line) => line.members[0].version,
    }[key];
    if (value === undefined) {
        return usual;
    }
    const isMissing = (a) => a === null || a === undefined || Number.isNaN(a);
    const direction = sort.startsWith("-") ? -1 : 1;
    return (a, b) => {
        const [one, other] = [value(a), value(b)];
        if (isMissing(one) || isMissing(other)) {
            return Number(isMissing(one)) - Number(isMissing(other)) || usual(a, b);
        }
        return direction * (typeof one === "string" ? byText(one, other) : one - other) || usual(a, b);
    };
}

/// The order after a click on a column: its first one, the other one, and then the usual one.
export function next(sort, key) {
    const [first, second] = TEXTS.has(key) ? [key, `-${key}`] : [`-${key}`, key];
    return sort === first ? second : sort === second ? "" : first;
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
export function sample(parent) {
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
