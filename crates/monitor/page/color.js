// The colors of lines. They come from strangers: what the browser does not take for a color is none, and
// what could not be seen on this background is moved towards what can.

const PALETTE = ["#1f77b4", "#e8710a", "#2a9d3f", "#d62f4b", "#8a63d2", "#00a3a3", "#c2569b", "#8c6d31", "#5b7fff", "#7a8b00"];
const LONGEST = 64;
/// WCAG's minimum for graphics.
const CONTRAST = 3;
const DASHES = [[], [7, 4], [2, 3], [10, 4, 2, 4]];

const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const context = canvas.getContext("2d", { willReadFrequently: true });

/// [r, g, b], or null if it is no color that can be seen.
function parse(text) {
    if (typeof text !== "string" || text.length > LONGEST || /currentcolor/i.test(text)) {
        return null;
    }
    // An invalid color leaves the style as it was: so twice, from different ones.
    const [one, other] = ["#010203", "#040506"].map((before) => {
        context.fillStyle = before;
        context.fillStyle = text;
        return context.fillStyle;
    });
    if (one !== other) {
        return null;
    }
    context.clearRect(0, 0, 1, 1);
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, alpha] = context.getImageData(0, 0, 1, 1).data;
    return alpha < 128 ? null : [r, g, b];
}

function luminance(rgb) {
    const [r, g, b] = rgb.map((part) => {
        const value = part / 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
}

function visible(rgb, background) {
    const towards = luminance(background) > 0.4 ? 0 : 255;
    let color = rgb;
    for (let part = 0; part <= 1 && contrast(color, background) < CONTRAST; part += 0.05) {
        color = rgb.map((value) => Math.round(value + (towards - value) * part));
    }
    return `rgb(${color.join(", ")})`;
}

export class Colors {
    constructor() {
        this.known = new Map();
        this.users = new Map();
        /// Keys of lines that have ended: what they have is free.
        this.gone = new Set();
        this.retheme();
    }

    /// The background may have changed.
    retheme() {
        this.background = parse(getComputedStyle(document.documentElement).getPropertyValue("--card").trim()) ?? [255, 255, 255];
        this.known.clear();
    }

    /// Other users of a color, by the number of their dashes.
    others(key, rgb) {
        const users = [...(this.users.get(String(rgb)) ?? new Map())];
        return users.filter(([user]) => user !== key && !this.gone.has(user)).map(([, dash]) => dash);
    }

    /// A color of the palette that nobody else has, if there is one left; from `first` on.
    unused(key, first) {
        const inOrder = PALETTE.map((_, at) => PALETTE[(first + at) % PALETTE.length]);
        return inOrder.find((color) => this.others(key, parse(color)).length === 0) ?? inOrder[0];
    }

    /// The color that was sent. Agents take theirs from the palette, by chance: then another one is as good.
    choose(key, sent) {
        const rgb = parse(sent);
        const at = rgb === null ? hash(key) % PALETTE.length : PALETTE.indexOf(sent.toLowerCase());
        return at < 0 ? rgb : parse(this.unused(key, at));
    }

    /// The stroke of a line. Lines of one color are told apart by their dashes.
    line(key, sent, alive) {
        let line = this.known.get(key);
        if (alive) {
            this.gone.delete(key);
        } else {
            this.gone.add(key);
        }
        if (line === undefined || line.sent !== sent) {
            const rgb = this.choose(key, sent);
            const taken = this.others(key, rgb);
            const users = this.users.get(String(rgb)) ?? new Map();
            const free = DASHES.findIndex((_, dash) => !taken.includes(dash));
            const dash = users.get(key) ?? (free < 0 ? taken.length % DASHES.length : free);
            this.users.set(String(rgb), users.set(key, dash));
            line = { sent, stroke: visible(rgb, this.background), dash: DASHES[dash] };
            this.known.set(key, line);
        }
        return line;
    }
}

/// The same for the same key, as far as others leave it that.
function hash(key) {
    let value = 0x811c9dc5;
    for (const unit of String(key)) {
        value = Math.imul(value ^ unit.codePointAt(0), 0x01000193) >>> 0;
    }
    return value;
}
