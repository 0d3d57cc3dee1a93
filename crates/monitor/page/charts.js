// The two charts: CPU above, memory below, one time axis and one cursor for both.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { connect, nearest } from "./connect.js";
import { clock, moment, number } from "./format.js";
import { Legend } from "./legend.js";
import { plugin } from "./annotations.js";

const KINDS = ["cpu", "mem"];
const [MINUTE, HOUR, DAY_LONG] = [60, 3600, 86_400];
/// Steps of the time axis, in seconds. uPlot's own have none between a minute and five: on a phone five minutes had one label.
const STEPS = [
    ...[1, 2, 5, 10, 15, 30], ...[1, 2, 5, 10, 15, 30].map((part) => part * MINUTE), ...[1, 2, 3, 4, 6, 8, 12].map((part) => part * HOUR),
    ...[1, 2, 3, 4, 5, 7, 10, 15, 30, 60, 120, 365].map((part) => part * DAY_LONG),
];
/// Pixels of a point, and how many points there are at least.
const PIXELS = 1.5;
const MIN_POINTS = 200;
/// Bands of more lines than this hide each other: then the lines are the highest values, so that no peak is hidden.
const BANDS = 12;
/// Distance in pixels at which the cursor means a line.
const NEAR = 30;
// The smallest step of the labels that it is for, the label, what is added where a year, month, day, hour, minute or
// second begins, and 1 for "added, not instead".
const DAY = "\n{MMM} {D}";
const LABELS = [
    [86400, "{MMM} {D}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", DAY, null, DAY, null, null, null, 1],
];

export class Charts {
    /// `on` has zoom(from, to), pan(milliseconds), live(), and cursor(key of the line that is meant, or null; null, or the time under
    /// the cursor and the values there by a line's key).
    constructor(on, overlay) {
        this.on = on;
        this.overlay = overlay;
        this.charts = null;
        this.keys = "";
        this.focus = null;
        /// The chart under the pointer: its nearest line is meant, and not the one at the same height in the other chart.
        this.pointed = 0;
        this.boxes = KINDS.map((kind) => document.getElementById(kind));
        this.readouts = KINDS.map((kind) => document.getElementById(`${kind}-readout`));
        this.legends = this.boxes.map((box) => new Legend(box));
        new ResizeObserver(() => this.resize()).observe(this.boxes[0]);
        this.boxes.forEach((box, at) => {
            this.pans(box);
            box.addEventListener("mousemove", () => { this.pointed = at; }, true);
        });
    }

    /// Draws anew. Other lines than before need other charts; other values do not. Points belong together that are not
    /// farther apart than `silence` milliseconds.
    draw(columns, lines, window, theme, silence) {
        this.lines = lines;
        this.silence = silence;
        this.window = window;
        const keys = lines.map((line) => `${line.key} ${line.style.stroke} ${line.style.dash}`).join("|") + theme.text;
        // No more points than an eye can tell apart: each is a mean, in a band from the least to the most.
        const each = Math.max(1, Math.ceil(columns.length / Math.max(MIN_POINTS, this.boxes[0].clientWidth / PIXELS)));
        const times = columns.times(each);
        this.values = KINDS.map((kind) => lines.map((line) => columns.values(kind, line.ids, each)));
        this.step = columns.step * each;
        this.banded = lines.length <= BANDS;
        this.drawn = this.values.map((values) =>
            values.map((value) => connect(this.banded ? value.mean : value.high, this.step, silence)));
        const data = this.drawn.map((drawn) => [times, ...drawn.map((each) => each.joined)]);
        if (this.charts === null || keys !== this.keys) {
            this.keys = keys;
            this.destroy();
            // New charts have no line in focus.
            this.focus = null;
            this.charts = KINDS.map((kind, at) => new uPlot(this.options(kind, lines, theme), data[at], this.boxes[at]));
        } else {
            this.charts.forEach((chart, at) => chart.setData(data[at], false));
        }
        for (const chart of this.charts) {
            chart.batch(() => chart.setScale("x", { min: window.from / 1000, max: window.to / 1000 }));
        }
    }

    /// The highest values of each line that is drawn, by its key.
    peaks() {
        const highest = (values) => values.reduce((high, value) => (value !== null && !(value <= high) ? value : high), NaN);
        const [cpu, mem] = this.values;
        return new Map(this.lines.map((line, at) => [line.key, { cpu: highest(cpu[at].high), mem: highest(mem[at].high) }]));
    }

    /// The last values of each line that is drawn, within the window, by its key.
    latest() {
        const last = ({ mean }) => mean.findLast((value, i) => value !== null && this.isInside(0, i)) ?? null;
        const [cpu, mem] = this.values;
        return new Map(this.lines.map((line, at) => [line.key, { cpu: last(cpu[at]), mem: last(mem[at]) }]));
    }

    /// All others fade; none do for null.
    highlight(key) {
        const at = this.lines?.findIndex((line) => line.key === key) ?? -1;
        // No hook tells of it, and a cursor that then comes to the same line changes nothing.
        this.focus = at < 0 ? null : at + 1;
        this.charts?.forEach((chart) => chart.setSeries(at < 0 ? null : at + 1, { focus: true }, false));
    }

    destroy() {
        this.charts?.forEach((chart) => chart.destroy());
        this.charts = null;
    }

    resize() {
        this.charts?.forEach((chart, at) => chart.setSize(this.size(at)));
    }

    size(at) {
        const { clientWidth, clientHeight } = this.boxes[at];
        return { width: Math.max(200, clientWidth), height: Math.max(120, clientHeight) };
    }

    /// Milliseconds of one pixel.
    perPixel() {
        return (this.window.to - this.window.from) / Math.max(1, this.charts[0].over.clientWidth);
    }

    options(kind, lines, theme) {
        const at = KINDS.indexOf(kind);
        const axis = { stroke: theme.quiet, grid: { stroke: theme.rule, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
        return {
            ...this.size(at),
            padding: [14, 28, 0, 0],
            legend: { show: false },
            scales: {
                x: { time: true },
                y: { range: () => [0, scale(this.highest(at)).most] },
            },
            axes: [
                { ...axis, space: 70, size: 34, incrs: STEPS, values: LABELS },
                { ...axis, size: 52, splits: () => scale(this.highest(at)).ticks, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) },
            ],
            series: [{}, ...lines.map((line) => ({
                label: line.name,
                stroke: line.style.stroke,
                dash: line.style.dash,
                width: 2,
                pxAlign: 0,
                points: { show: false, filter: (_, series) => this.drawn[at][series - 1].lone, size: 5, fill: line.style.stroke },
            }))],
            focus: { alpha: 0.35 },
            cursor: {
                y: false,
                sync: { key: "time", scales: ["x", null] },
                focus: { prox: NEAR, dist: (_, series, __, line, pointer) => this.distance(at, series, line - pointer) },
                drag: { x: true, y: false, setScale: false },
                points: { size: 7 },
                dataIdx: (_, series, hovered) =>
                    (series === 0 ? hovered : nearest(this.drawn[at][series - 1].joined, hovered, this.step, this.silence)),
                bind: { dblclick: () => () => this.on.live(), mousedown: (_, __, go) => (event) => (event.shiftKey ? null : go(event)) },
            },
            hooks: {
                drawAxes: [(chart) => this.bands(chart, at)],
                setSelect: [(chart) => this.selected(chart)],
                setCursor: [(chart) => this.moved(chart)],
                setSeries: [(_, series) => this.focused(at, series)],
            },
            plugins: [plugin(kind, this.overlay)],
        };
    }

    /// The distance in pixels of a line from the pointer. The chart without the pointer has only the line that the other one means.
    distance(at, series, pixels) {
        if (at === this.pointed) {
            return pixels;
        }
        return series === this.focus ? 0 : Infinity;
    }

    /// uPlot seeks the nearest line whenever a chart is drawn, also in the chart without the pointer.
    focused(at, series) {
        if (at === this.pointed) {
            this.focus = series;
            this.charts?.forEach((chart, other) => other === at || chart.setSeries(series, { focus: true }, false));
        }
    }

    isInside(at, i) {
        const time = this.charts?.[at]?.data[0][i];
        return time === undefined || (time * 1000 >= this.window.from - this.step && time * 1000 <= this.window.to);
    }

    /// Of all that is drawn, and within the window.
    highest(at) {
        let most = 0;
        for (const { high } of this.values[at]) {
            for (let i = 0; i < high.length; i++) {
                if (high[i] > most && this.isInside(at, i)) {
                    most = high[i];
                }
            }
        }
        return most;
    }

    bands(chart, at) {
        if (!this.banded || this.step <= 1000) {
            return;
        }
        const { ctx, bbox } = chart;
        const y = (value) => chart.valToPos(value, "y", true);
        const xs = chart.data[0].map((time) => chart.valToPos(time, "x", true));
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        ctx.globalAlpha = 0.22;
        this.values[at].forEach(({ low, high }, line) => {
            ctx.fillStyle = this.lines[line].style.stroke;
            ctx.beginPath();
            for (const run of runs(this.drawn[at][line].joined)) {
                ctx.moveTo(xs[run[0]], y(high[run[0]]));
                run.slice(1).forEach((i) => ctx.lineTo(xs[i], y(high[i])));
                run.toReversed().forEach((i) => ctx.lineTo(xs[i], y(low[i])));
            }
            ctx.fill();
        });
        ctx.restore();
    }

    selected(chart) {
        const { left, width } = chart.select;
        if (width < 4) {
            return;
        }
        const at = (pixel) => chart.posToVal(pixel, "x") * 1000;
        const [from, to] = [at(left), at(left + width)];
        chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        this.on.zoom(from, to);
    }

    /// Says what is under the cursor, in words, above each chart.
    moved(chart) {
        const { idx, left } = chart.cursor;
        const inside = left >= 0 && idx !== null && idx !== undefined;
        const line = inside && this.focus > 0 ? this.lines[this.focus - 1] : undefined;
        const under = inside ? this.under(idx) : null;
        this.legends.forEach((legend, at) => {
            if (under === null) {
                legend.hide();
                return;
            }
            const values = this.lines.map((each) => [each, under.values.get(each.key)[KINDS[at]]]);
            legend.show(values, line?.key ?? null, left, chart.over.offsetLeft, chart.over.clientWidth);
        });
        KINDS.forEach((kind, at) => {
            const data = this.charts?.[at]?.data;
            if (!inside || data === undefined) {
                this.readouts[at].textContent = "";
                return;
            }
            const point = line ? nearest(data[this.focus], idx, this.step, this.silence) : idx;
            const time = data[0][point] * 1000;
            const unit = kind === "cpu" ? " %" : " MB";
            const value = line ? `${line.name}  ${number(data[this.focus][point])}${unit}  at ` : "";
            this.readouts[at].textContent = value + (line ? clock(time) : moment(time, Date.now()));
        });
        this.on.cursor(line?.key ?? null, under);
    }

    /// The time at a point, and the values of all lines there.
    under(idx) {
        const of = (at, line) => {
            const data = this.charts[at].data;
            return data[line + 1][nearest(this.drawn[at][line].joined, idx, this.step, this.silence)] ?? null;
        };
        const values = this.lines.map(({ key }, line) => [key, { cpu: of(0, line), mem: of(1, line) }]);
        return { time: this.charts[0].data[0][idx] * 1000, values: new Map(values) };
    }

    /// Shift and drag, or a finger that moves sideways.
    pans(box) {
        let last = null;
        let rest = 0;
        box.addEventListener("pointerdown", (event) => {
            if (this.charts !== null && (event.shiftKey || event.pointerType === "touch") && event.isPrimary) {
                last = event.clientX;
                rest = 0;
                box.setPointerCapture(event.pointerId);
                box.classList.add("panning");
            }
        });
        box.addEventListener("pointermove", (event) => {
            if (last === null) {
                return;
            }
            rest += last - event.clientX;
            last = event.clientX;
            if (Math.abs(rest) >= 2) {
                this.on.pan(rest * this.perPixel());
                rest = 0;
            }
        });
        const ends = () => {
            last = null;
            box.classList.remove("panning");
        };
        box.addEventListener("pointerup", ends);
        box.addEventListener("pointercancel", ends);
    }
}

/// The top of an axis, and its ticks: the top is one of them, and a line below it does not touch the frame.
export function scale(highest) {
    const wanted = highest > 0 ? highest * 1.05 : 1;
    const power = 10 ** Math.floor(Math.log10(wanted / 4));
    const step = [1, 2, 2.5, 5, 10].map((part) => part * power).find((part) => wanted / part <= 5);
    const ticks = Array.from({ length: Math.ceil(wanted / step - 1e-9) + 1 }, (_, at) => Number((at * step).toPrecision(12)));
    return { most: ticks.at(-1), ticks };
}

/// The points that a line connects, without those that it crosses.
function runs(values) {
    const found = [];
    let run = [];
    values.forEach((value, at) => {
        if (value === null) {
            found.push(run);
            run = [];
        } else if (value !== undefined) {
            run.push(at);
        }
    });
    return [...found, run].filter((run) => run.length > 0);
}
