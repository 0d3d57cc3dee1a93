// Processes, and the last state of each.

/// Milliseconds that a sample's time may be ahead of the collector's clock, as the collector has it. What is further
/// ahead is from before that clock was set back.
const TOLERANCE = 5000;

export class Processes {
    constructor(colors) {
        this.colors = colors;
        this.byId = new Map();
        /// The collector's clock less ours, so that "now" is where its samples are.
        this.ahead = 0;
        /// Milliseconds without a sample after which a process is silent; the collector says it.
        this.silence = 10_000;
    }

    now() {
        return Date.now() + this.ahead;
    }

    /// True of a time that the collector's clock has yet to reach: it was set back.
    isAhead(time) {
        return time > this.now() + TOLERANCE;
    }

    /// An answer of /api/processes.
    load({ now, processes, silent_after }) {
        this.ahead = now - Date.now();
        this.silence = silent_after ?? this.silence;
        const before = this.byId;
        this.byId = new Map(processes.map((process) => [process.id, process]));
        for (const [id, process] of this.byId) {
            const known = before.get(id);
            // The stream may have been faster than this answer. What is older than a silence is not: a collector that was
            // restarted may have lost the last samples.
            if (known && known.last > process.last && now - known.last < this.silence && !this.isAhead(known.last)) {
                Object.assign(process, { cpu: known.cpu, mem: known.mem, last: known.last, state: known.state });
            }
        }
    }

    /// False if nobody knows whose it is.
    take(sample, time) {
        const process = this.byId.get(sample.id);
        if (process === undefined) {
            return false;
        }
        if (time >= process.last || this.isAhead(process.last)) {
            process.last = time;
            process.cpu = sample.cpu;
            process.mem = sample.mem;
            process.state = sample.ended === undefined || sample.ended === null ? "live" : "gone";
        }
        return true;
    }

    /// When the first of all was heard of, in milliseconds, or null.
    oldest() {
        const first = Math.min(...this.all().map((process) => process.first ?? Infinity));
        return Number.isFinite(first) ? first : null;
    }

    all() {
        return [...this.byId.values()];
    }
}

/// Begin and end of a process, in milliseconds. One that has not ended has an infinite end.
const began = (process) => process.first ?? Infinity;
const ended = (process) => (process.state === "gone" ? process.last : Infinity);

const keyOf = (process, view) => (view.group === "service" ? `s:${process.service ?? process.name}` : String(process.id));

/// The styles of all lines by their keys, whatever the range and the filter leave: so a line has the same color at each look.
function styles(processes, colors, view) {
    const groups = new Map();
    for (const process of processes) {
        const key = keyOf(process, view);
        const { since, end } = groups.get(key) ?? { since: Infinity, end: 0 };
        const sent = view.group === "service" ? null : process.color;
        groups.set(key, { sent, since: Math.min(since, began(process)), end: Math.max(end, ended(process)) });
    }
    const inOrder = [...groups].sort(([one, a], [other, b]) => a.since - b.since || (one < other ? -1 : 1));
    return new Map(inOrder.map(([key, { sent, since, end }]) => [key, colors.line(key, sent, since, end)]));
}

/// Lines to draw: each a process, or all of a service.
export function lines(processes, colors, view, from) {
    const styled = styles(processes, colors, view);
    const groups = new Map();
    const wanted = view.filter.trim().toLowerCase();
    for (const process of processes) {
        // One whose clock is behind reports now, whatever time it says.
        if (process.last < from && process.state !== "live") {
            continue;
        }
        const service = process.service ?? process.name;
        if (wanted && !`${process.name} ${service} ${process.host ?? ""} ${process.version ?? ""}`.toLowerCase().includes(wanted)) {
            continue;
        }
        const key = keyOf(process, view);
        const members = groups.get(key);
        if (members) {
            members.push(process);
        } else {
            groups.set(key, [process]);
        }
    }
    return [...groups].map(([key, members]) => line(key, members, styled.get(key), view));
}

function line(key, members, style, view) {
    const grouped = view.group === "service";
    const first = members[0];
    const present = members.filter((process) => process.state === "live");
    // After a restart of the collector nobody has figures until the next report: that is not 0.
    const known = (kind) => present.map((process) => process[kind]).filter((value) => value !== null && value !== undefined);
    const sum = (kind) => (known(kind).length === 0 ? null : known(kind).reduce((total, value) => total + value));
    const name = grouped ? first.service ?? first.name : first.name;
    return {
        key,
        name,
        members,
        ids: members.map((process) => process.id),
        style,
        cpu: sum("cpu"),
        mem: sum("mem"),
        state: worst(members),
        leak: members.map((process) => process.leak).find((leak) => leak) ?? null,
        clock: members.map((process) => process.clock).find((clock) => clock) ?? null,
        shown: !view.hidden.has(key),
    };
}

function worst(members) {
    const states = members.map((process) => process.state);
    return states.includes("silent") ? "silent" : states.includes("live") ? "live" : "gone";
}

/// Which of them are drawn when there are too many: those that use most, but whoever was drawn stays until
/// others use clearly more, so that nothing flickers.
export function choose(all, limit, drawn) {
    const shown = all.filter((each) => each.shown);
    if (shown.length <= limit) {
        return shown;
    }
    const total = (kind) => shown.reduce((sum, each) => sum + (each[kind] ?? 0), 0) || 1;
    const [cpu, mem] = [total("cpu"), total("mem")];
    const weight = (each) => ((each.cpu ?? 0) / cpu + (each.mem ?? 0) / mem) * (drawn.has(each.key) ? 1.5 : 1);
    return shown.map((each) => [weight(each), each]).sort((a, b) => b[0] - a[0]).slice(0, limit).map(([, each]) => each);
}
