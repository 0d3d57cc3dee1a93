// What is looked at: which time, which lines. It lives in the address, so that a link shows the same.

export const RANGES = [
    ["5m", 300], ["15m", 900], ["1h", 3600], ["6h", 21600], ["1d", 86400], ["7d", 604800], ["14d", 1209600],
];
const USUAL = "1h";
const SHORTEST = 10_000;
const LONGEST = 1209600_000;

const spanOf = (name) => (RANGES.find(([known]) => known === name) ?? [null, null])[1];

export class View {
    constructor(address) {
        const query = new URLSearchParams(address.search);
        const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
        this.range = spanOf(query.get("range")) ? query.get("range") : USUAL;
        /// A time that stands still, or null: then the last `range` is shown, and moves.
        this.fixed = from > 0 && to >= from + 1000 ? { from, to } : null;
        this.paused = this.fixed !== null && query.has("paused");
        this.group = query.get("group") === "service" ? "service" : "";
        this.filter = query.get("filter") ?? "";
        this.hidden = new Set((query.get("hide") ?? "").split(",").filter((id) => id !== ""));
    }

    get live() {
        return this.fixed === null;
    }

    /// Milliseconds.
    window(now) {
        return this.fixed ?? { from: now - spanOf(this.range) * 1000, to: now };
    }

    show(range) {
        this.range = range;
        this.fixed = null;
        this.paused = false;
    }

    pause(now) {
        this.fixed = { ...this.window(now) };
        this.paused = true;
    }

    resume() {
        this.fixed = null;
        this.paused = false;
    }

    zoomTo(from, to) {
        const span = Math.min(Math.max(to - from, SHORTEST), LONGEST);
        const middle = (from + to) / 2;
        this.fixed = { from: Math.round(middle - span / 2), to: Math.round(middle + span / 2) };
        this.paused = false;
    }

    zoomBy(factor, now) {
        const { from, to } = this.window(now);
        const [middle, half] = [(from + to) / 2, (to - from) / 2 * factor];
        this.zoomTo(middle - half, Math.min(middle + half, now));
    }

    /// By a part of the window, back if it is negative. Beyond now there is nothing to see.
    panBy(part, now) {
        const { from, to } = this.window(now);
        const by = Math.min((to - from) * part, now - to);
        if (by !== 0) {
            this.zoomTo(from + by, to + by);
        }
    }

    search() {
        const query = new URLSearchParams();
        if (this.fixed) {
            query.set("from", Math.round(this.fixed.from));
            query.set("to", Math.round(this.fixed.to));
        }
        if (this.paused) {
            query.set("paused", "1");
        }
        if (this.range !== USUAL) {
            query.set("range", this.range);
        }
        if (this.group) {
            query.set("group", this.group);
        }
        if (this.filter) {
            query.set("filter", this.filter);
        }
        if (this.hidden.size > 0) {
            query.set("hide", [...this.hidden].join(","));
        }
        const text = query.toString();
        return text === "" ? "" : `?${text}`;
    }
}
