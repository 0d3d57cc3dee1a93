// The view: which time, which lines. It lives in the address, so that a link shows the same.

export const RANGES = [
    ["5m", 300], ["15m", 900], ["1h", 3600], ["6h", 21600], ["1d", 86400], ["7d", 604800], ["14d", 1209600],
];
const USUAL = "1h";
/// Milliseconds that are shown at least where there is less than the usual range.
const FIRST = 60_000;
/// The part of a range that counts for all of it.
const WHOLE = 0.95;
const SHORTEST = 10_000;
const LONGEST = 1209600_000;
/// Bounds of an address: milliseconds from 1970 to 2100, and ten years at once.
const END = 4_102_444_800_000;
const WIDEST = 10 * 365 * 86_400_000;

/// Numbers from a stranger's link: those that are no range are passed over.
function fixedOf(from, to) {
    const isRange = from > 0 && to <= END && to - from >= 1000 && to - from <= WIDEST;
    return isRange ? { from: Math.floor(from), to: Math.ceil(to) } : null;
}

const spanOf = (name) => (RANGES.find(([known]) => known === name) ?? [null, null])[1];

/// Columns of the table by which it can be sorted; with a minus, the greatest first.
export const SORTS = ["name", "service", "cpu", "peak-cpu", "mem", "peak-mem", "state", "up", "version"];

const sortOf = (text) => (SORTS.includes(text.replace(/^-/, "")) ? text : "");

export class View {
    constructor(address) {
        const query = new URLSearchParams(address.search);
        /// Chosen by somebody; the usual one is only as long as there is something to show.
        this.chosen = spanOf(query.get("range")) !== null;
        this.range = this.chosen ? query.get("range") : USUAL;
        /// When the first of all was heard of, in milliseconds, or null.
        this.oldest = null;
        /// A time that stands still, or null: then the last `range` is shown, and moves.
        this.fixed = fixedOf(Number(query.get("from")), Number(query.get("to")));
        this.paused = this.fixed !== null && query.has("paused");
        this.group = query.get("group") === "service" ? "service" : "";
        this.filter = query.get("filter") ?? "";
        this.sort = sortOf(query.get("sort") ?? "");
        this.hidden = new Set((query.get("hide") ?? "").split(",").filter((id) => id !== ""));
    }

    get live() {
        return this.fixed === null;
    }

    /// Milliseconds.
    window(now) {
        return this.fixed ?? { from: now - this.span(now), to: now };
    }

    /// Milliseconds of a window that moves.
    span(now) {
        const most = spanOf(this.range) * 1000;
        return this.chosen ? most : Math.min(most, Math.max(FIRST, now - (this.oldest ?? now)));
    }

    /// True if the window is about as long as the range says: at first there is less.
    isWhole(now) {
        return this.live && this.span(now) >= WHOLE * spanOf(this.range) * 1000;
    }

    show(range) {
        this.range = range;
        this.chosen = true;
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
        const begin = Math.round(Math.min(Math.max(middle - span / 2, 1), END - span));
        this.fixed = { from: begin, to: begin + Math.round(span) };
        this.paused = false;
    }

    /// Live, it takes the next range, and stays live; what is shorter than all of them ends now.
    zoomBy(factor, now) {
        const { from, to } = this.window(now);
        if (this.live) {
            const shorter = RANGES.findLast(([, seconds]) => seconds * 1000 < to - from);
            const longer = RANGES.find(([, seconds]) => seconds * 1000 > to - from);
            const next = factor < 1 ? shorter : longer;
            if (next) {
                this.show(next[0]);
            } else if (factor < 1) {
                this.zoomTo(to - (to - from) * factor, to);
            }
            return;
        }
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
        if (this.chosen) {
            query.set("range", this.range);
        }
        if (this.group) {
            query.set("group", this.group);
        }
        if (this.sort) {
            query.set("sort", this.sort);
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
