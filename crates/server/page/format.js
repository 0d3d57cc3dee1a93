// Figures and times as people read them.

const pad = (number) => String(number).padStart(2, "0");

export const whole = (value) => (value === null || value === undefined ? "\u2013" : Math.round(value).toLocaleString("en"));

/// Messages a second: a digit behind the point for few, "12.3k" for many.
export function rate(value) {
    if (value === null || value === undefined || Number.isNaN(value)) {
        return "\u2013";
    }
    if (value >= 1e6) {
        return `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)}M`;
    }
    if (value >= 1e4) {
        return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)}k`;
    }
    return value > 0 && value < 10 ? value.toFixed(1) : whole(value);
}

export function bytes(count) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    const at = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, count)) / 10));
    const value = count / 1024 ** at;
    return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

export const clock = (date) => `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;

/// "1 message", "2,000 messages".
export const count = (number, noun, nouns = `${noun}s`) => `${whole(number)} ${number === 1 ? noun : nouns}`;

/// A time in seconds.
export function span(seconds) {
    const [length, name] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([length]) => seconds >= length) ?? [1, "s"];
    return `${Math.floor(seconds / length)} ${name}`;
}
