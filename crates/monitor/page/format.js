// Figures and times as people read them.

const pad = (number) => String(number).padStart(2, "0");

export function number(value) {
    if (value === null || value === undefined || Number.isNaN(value)) {
        return "\u2013";
    }
    const digits = Math.abs(value) >= 100 ? 0 : 1;
    return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const clock = (ms) => {
    const date = new Date(ms);
    return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
};

export const day = (ms) => {
    const date = new Date(ms);
    return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
};

/// With the day where it is another one.
export const moment = (ms, now) => (day(ms) === day(now) ? clock(ms) : `${day(ms)} ${clock(ms)}`);

/// "1 process", "2 processes".
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;

export function span(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const at = parts.findIndex(([length]) => seconds >= length);
    if (at < 0) {
        return "0 s";
    }
    const [length, name] = parts[at];
    const whole = `${Math.floor(seconds / length)} ${name}`;
    const next = parts[at + 1];
    const rest = next ? Math.floor((seconds % length) / next[0]) : 0;
    return rest > 0 && at < 2 ? `${whole} ${rest} ${next[1]}` : whole;
}

export function bytes(count) {
    const units = ["B", "KB", "MB", "GB", "TB"];
    const at = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, count)) / 10));
    return at === 0 ? `${count} B` : `${number(count / 1024 ** at)} ${units[at]}`;
}
