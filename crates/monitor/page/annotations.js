// Annotations drawn over a chart: restarts, gaps, silences and leaks.

const GLYPHS = { restart: "\u21bb", gap: "\u2194", silent: "!", back: "\u2713", leak: "\u2197", leak_over: "\u2193", ended: "\u00d7" };
/// More annotations than this in one chart; pixels between two of them; and how long one is then.
const MANY = 60;
const NEAR = 4;
const TICK = 6;
const BAD = new Set(["silent", "leak"]);

/// A plugin for uPlot. `get` gives { annotations, lines, often (those of which only a tick is drawn), theme, now } when it is drawn.
export function plugin(kind, get) {
    return { hooks: { draw: [(chart) => draw(chart, kind, get())] } };
}

function draw(chart, kind, { annotations, lines, often, theme, now }) {
    const { ctx, bbox } = chart;
    const ratio = devicePixelRatio;
    const [left, right] = [bbox.left, bbox.left + bbox.width];
    const x = (ms) => chart.valToPos(ms / 1000, "x", true);
    const owner = new Map(lines.flatMap((line) => line.ids.map((id) => [id, line])));
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height);
    ctx.clip();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    silences(chart, annotations, owner, theme, now, x);
    const visible = annotations.map((annotation) => [annotation, x(annotation.time), owner.get(annotation.id)]).filter(([annotation, at, line]) =>
        line !== undefined && at >= left && at <= right && !(kind === "cpu" && annotation.kind.startsWith("leak")));
    // Very many would hide the lines that they are about.
    const many = visible.length > MANY;
    let taken = -Infinity;
    let drawn = -Infinity;
    for (const [annotation, at, line] of visible) {
        // Overlapping ones say nothing; and a gap says least.
        if (at - drawn < NEAR * ratio && (annotation.kind === "gap" || at - drawn < ratio)) {
            continue;
        }
        drawn = at;
        ctx.strokeStyle = BAD.has(annotation.kind) ? theme.bad : line.style.stroke;
        ctx.fillStyle = ctx.strokeStyle;
        ctx.lineWidth = ratio;
        ctx.setLineDash([3 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(at, bbox.top);
        ctx.lineTo(at, bbox.top + (often.has(annotation) || (many && annotation.kind === "gap") ? TICK * ratio : bbox.height));
        ctx.stroke();
        if (at - taken >= 12 * ratio) {
            ctx.fillText(GLYPHS[annotation.kind] ?? "\u2022", at, bbox.top - 3 * ratio);
            taken = at;
        }
    }
    if (kind === "mem") {
        leaks(chart, lines, theme, now, x);
    }
    ctx.restore();
}

/// A bar along the time axis for as long as a process said nothing.
function silences(chart, annotations, owner, theme, now, x) {
    const { ctx, bbox } = chart;
    const since = new Map();
    const bar = (from, to) => {
        ctx.fillStyle = theme.bad;
        ctx.globalAlpha = 0.55;
        ctx.fillRect(x(from), bbox.top + bbox.height - 4 * devicePixelRatio, Math.max(1, x(to) - x(from)), 4 * devicePixelRatio);
        ctx.globalAlpha = 1;
    };
    for (const annotation of annotations.filter(({ id }) => owner.has(id))) {
        if (annotation.kind === "silent") {
            since.set(annotation.id, annotation.time);
        } else if (["back", "restart", "ended"].includes(annotation.kind) && since.has(annotation.id)) {
            bar(since.get(annotation.id), annotation.time);
            since.delete(annotation.id);
        }
    }
    for (const from of since.values()) {
        bar(from, now);
    }
}

/// The slope that the alarm is about, up to the last value.
function leaks(chart, lines, theme, now, x) {
    const { ctx } = chart;
    for (const process of lines.flatMap((line) => (line.members.length === 1 ? line.members : []))) {
        if (!process.leak || process.mem === null) {
            continue;
        }
        const hours = (process.last - process.leak.since) / 3_600_000;
        const y = (value) => chart.valToPos(value, "y", true);
        const [from, to] = [x(process.leak.since), x(process.last)];
        ctx.strokeStyle = theme.bad;
        ctx.fillStyle = theme.bad;
        ctx.lineWidth = 2 * devicePixelRatio;
        ctx.setLineDash([8 * devicePixelRatio, 5 * devicePixelRatio]);
        ctx.beginPath();
        ctx.moveTo(from, y(process.mem - process.leak.mb_per_hour * hours));
        ctx.lineTo(to, y(process.mem));
        ctx.stroke();
        ctx.textAlign = "right";
        ctx.fillText(`+${process.leak.mb_per_hour.toFixed(1)} MB/h`, to - 6 * devicePixelRatio, y(process.mem) - 8 * devicePixelRatio);
    }
}
