// The colors of lines. They come from strangers: what the browser does not take for a color is none, and
// what could not be seen on this background is moved towards what can.

const PALETTE = ["#1f77b4", "#e8710a", "#2a9d3f", "#d62f4b", "#8a63d2", "#00a3a3", "#c2569b", "#8c6d31", "#5b7fff", "#7a8b00"];
const LONGEST = 64;
/// WCAG's minimum for graphics.
const CONTRAST = 3;
const DASHES = [[], [7, 4], [2, 3], [10, 4, 2, 4]];

/// The pattern of a number: no two are the same. Beyond the plain ones they are one or two dashes and some dots.
export function dashOf(number) {
    const rest = number - DASHES.length;
    if (rest < 0) {
        return DASHES[number];
    }
    const dashes = Array.from({ length: 1 + (rest % 2) }, () => [10, 4]);
    const dots = Array.from({ length: 2 + (rest >> 1) }, () => [2, 4]);
    return [...dashes, ...dots].flat();
}

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
        /// Style of each line, by its key: { sent, rgb, dash, end, style }.
        this.lines = new Map();
        /// Keys of the lines of a color, by their dashes' numbers.
        this.users = new Map();
        this.palette = PALETTE.map(parse);
        this.retheme();
    }

    /// The background may have changed.
    retheme() {
        this.background = parse(getComputedStyle(document.documentElement).getPropertyValue("--card").trim()) ?? [255, 255, 255];
        for (const line of this.lines.values()) {
            line.style = this.style(line);
        }
    }

    style({ rgb, dash }) {
        return { stroke: visible(rgb, this.background), dash: dashOf(dash) };
    }

    /// Lines of a color, by their dashes, without those that had ended before `since`: what these have is free.
    usersOf(rgb, since) {
        const users = this.users.get(String(rgb)) ?? new Map();
        for (const [dash, key] of users) {
            if (this.lines.get(key).end < since) {
                users.delete(dash);
            }
        }
        return this.users.set(String(rgb), users).get(String(rgb));
    }

    /// The color that was sent. Agents take theirs from the palette, by chance: then another one that is free is as good.
    choose(key, sent, since) {
        const rgb = parse(sent);
        const at = rgb === null ? hash(key) % PALETTE.length : PALETTE.indexOf(sent.toLowerCase());
        if (at < 0) {
            return rgb;
        }
        const inOrder = this.palette.map((_, next) => this.palette[(at + next) % this.palette.length]);
        return inOrder.find((color) => this.usersOf(color, since).size === 0) ?? inOrder[0];
    }

    /// The stroke of a line that began at `since`, and ended at `end`, which is infinite for one that lives. Lines of one color are told
    /// apart by their dashes. A line keeps what it has, and lines that are told in the order of their begins have the same on each load.
    line(key, sent, since, end) {
        const before = this.lines.get(key);
        const isSame = before !== undefined && before.sent === sent;
        const keeps = isSame && (end !== Infinity || this.usersOf(before.rgb, since).get(before.dash) === key);
        if (keeps) {
            before.end = end;
            return before.style;
        }
        if (before !== undefined) {
            const users = this.users.get(String(before.rgb));
            if (users.get(before.dash) === key) {
                users.delete(before.dash);
            }
        }
        const line = { sent, rgb: this.choose(key, sent, since), end };
        const users = this.usersOf(line.rgb, since);
        line.dash = 0;
        while (users.has(line.dash)) {
            line.dash++;
        }
        users.set(line.dash, key);
        line.style = this.style(line);
        this.lines.set(key, line);
        return line.style;
    }
}

/// The same for the same key.
function hash(key) {
    let value = 0x811c9dc5;
    for (const unit of String(key)) {
        value = Math.imul(value ^ unit.codePointAt(0), 0x01000193) >>> 0;
    }
    return value;
}
