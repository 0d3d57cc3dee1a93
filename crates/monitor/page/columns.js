// What was measured, one column a step, for the window that is shown.
//
// Typed arrays, NaN where there is nothing. A live window moves inside arrays that are a little longer, so
// that a new second costs one write a series, and a copy only now and then.

const KINDS = ["cpu", "mem"];
/// In columns.
const LATE = 3;

class Series {
    constructor(size) {
        this.cpu = new Float32Array(size).fill(NaN);
        this.mem = new Float32Array(size).fill(NaN);
        /// How many samples the last column holds, when a column holds several.
        this.at = -1;
        this.samples = 0;
    }
}

export class Columns {
    constructor(from, step, length) {
        this.step = step;
        this.from = Math.floor(from / step) * step;
        this.length = Math.max(2, length);
        this.start = 0;
        this.size = this.length + Math.max(60, this.length >> 3);
        this.series = new Map();
    }

    get to() {
        return this.from + (this.length - 1) * this.step;
    }

    /// An answer of /api/history.
    static of(history) {
        const columns = new Columns(history.from, history.step, Math.round((history.to - history.from) / history.step) + 1);
        for (const { id, ...values } of history.series) {
            const series = columns.ensure(id);
            for (const kind of KINDS) {
                const given = values[kind] ?? [];
                const count = Math.min(given.length, columns.length);
                for (let i = 0; i < count; i++) {
                    series[kind][i] = given[i] ?? NaN;
                }
            }
        }
        return columns;
    }

    ensure(id) {
        let series = this.series.get(id);
        if (series === undefined) {
            series = new Series(this.size);
            this.series.set(id, series);
        }
        return series;
    }

    /// Moves the window so that it ends at this time.
    moveTo(time) {
        const steps = Math.floor((time - this.to) / this.step);
        if (steps <= 0) {
            return;
        }
        this.from += steps * this.step;
        this.start += steps;
        if (this.start + this.length <= this.size) {
            return;
        }
        for (const series of this.series.values()) {
            for (const kind of KINDS) {
                const values = series[kind];
                values.copyWithin(0, Math.min(this.start, this.size));
                values.fill(NaN, Math.max(0, this.size - this.start));
            }
            series.at -= this.start;
        }
        this.start = 0;
    }

    put(id, time, cpu, mem) {
        const column = Math.floor((time - this.from) / this.step);
        if (column < 0 || column >= this.length) {
            return;
        }
        const at = this.start + column;
        const series = this.ensure(id);
        // Only the last column is filled bit by bit; an earlier one came with the history, complete.
        const goesOn = this.step > 1000 && series.at === at;
        series.samples = goesOn ? series.samples + 1 : 1;
        series.at = at;
        for (const [kind, value] of [["cpu", cpu], ["mem", mem]]) {
            const before = series[kind][at];
            series[kind][at] = goesOn && !Number.isNaN(before) ? before + (value - before) / series.samples : value;
        }
    }

    /// Seconds, as the charts want them.
    times() {
        return Array.from({ length: this.length }, (_, i) => (this.from + i * this.step) / 1000);
    }

    /// The sum of some series, null where none of them has a value. In a sum, one that is late by a column or two
    /// counts with what it had, or each sum would end in a cliff.
    values(kind, ids) {
        const sum = new Array(this.length).fill(null);
        for (const id of ids) {
            const values = this.series.get(id)?.[kind];
            if (values === undefined) {
                continue;
            }
            let last = NaN;
            let late = ids.length > 1 ? 0 : LATE;
            for (let i = 0, at = this.start; i < this.length; i++, at++) {
                let value = values[at];
                if (value === value) {
                    last = value;
                    late = ids.length > 1 ? 0 : LATE;
                } else if (late++ < LATE) {
                    value = last;
                }
                if (value === value) {
                    sum[i] = sum[i] === null ? value : sum[i] + value;
                }
            }
        }
        return sum;
    }
}
