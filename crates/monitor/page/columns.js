// Measured values, one column a step, for the window that is shown.
//
// Typed arrays, NaN where there is nothing. A live window moves inside arrays that are a little longer, so
// that a new second costs one write a series, and a copy only now and then.

const KINDS = ["cpu", "mem"];
/// Lateness of a part of a sum at most, in columns.
const LATE = 3;

class Series {
    /// `wide`: a column holds several samples, of which the least and the most are kept, too.
    constructor(size, wide) {
        const empty = () => new Float32Array(size).fill(NaN);
        for (const kind of KINDS) {
            this[kind] = empty();
            this[`${kind}_min`] = wide ? empty() : this[kind];
            this[`${kind}_max`] = wide ? empty() : this[kind];
        }
        /// The column that is being filled, and how many samples it holds.
        this.at = -1;
        this.samples = 0;
    }

    arrays() {
        return new Set(KINDS.flatMap((kind) => [this[kind], this[`${kind}_min`], this[`${kind}_max`]]));
    }
}

export class Columns {
    constructor(from, step, length) {
        this.step = step;
        this.from = Math.floor(from / step) * step;
        this.length = Math.max(2, length);
        this.start = 0;
        this.size = this.length + Math.max(60, this.length >> 3);
        this.wide = step > 1000;
        this.series = new Map();
    }

    get to() {
        return this.from + (this.length - 1) * this.step;
    }

    /// An answer of /api/history, which was given at this time.
    static of(history, now) {
        const columns = new Columns(history.from, history.step, Math.round((history.to - history.from) / history.step) + 1);
        for (const { id, ...given } of history.series) {
            const series = columns.ensure(id);
            for (const kind of KINDS) {
                const names = columns.wide ? [kind, `${kind}_min`, `${kind}_max`] : [kind];
                for (const name of names) {
                    const values = given[name] ?? given[kind] ?? [];
                    const count = Math.min(values.length, columns.length);
                    for (let i = 0; i < count; i++) {
                        series[name][i] = values[i] ?? NaN;
                    }
                }
            }
            // The last one goes on to be filled: about one sample a second is in it.
            series.at = columns.length - 1;
            series.samples = Math.max(1, Math.round((Math.min(now, columns.to + columns.step) - columns.to) / 1000));
        }
        return columns;
    }

    ensure(id) {
        let series = this.series.get(id);
        if (series === undefined) {
            series = new Series(this.size, this.wide);
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
            for (const values of series.arrays()) {
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
        if (at > series.at) {
            [series.at, series.samples] = [at, 0];
        }
        const last = at === series.at;
        series.samples += last;
        for (const [kind, value] of [["cpu", cpu], ["mem", mem]]) {
            const [means, lows, highs] = [series[kind], series[`${kind}_min`], series[`${kind}_max`]];
            const mean = means[at];
            if (!this.wide || mean !== mean) {
                means[at] = lows[at] = highs[at] = value;
                continue;
            }
            // An earlier column's count is not known; one late sample is little in it.
            means[at] = last ? mean + (value - mean) / series.samples : mean;
            lows[at] = Math.min(lows[at], value);
            highs[at] = Math.max(highs[at], value);
        }
    }

    /// The points if each is made of so many columns. Points begin at multiples, so that they do not change while
    /// the window moves.
    points(each) {
        const first = Math.floor(this.from / this.step / each);
        const last = Math.floor(this.to / this.step / each);
        return { first, count: last - first + 1, skipped: Math.round(this.from / this.step) - first * each };
    }

    /// Seconds, as the charts want them.
    times(each) {
        const { first, count } = this.points(each);
        return Array.from({ length: count }, (_, i) => ((first + i) * each * this.step) / 1000);
    }

    /// The means of the sum of some series, with the least and the most, null where none of them has a value.
    values(kind, ids, each) {
        const { count, skipped } = this.points(each);
        const [mean, low, high] = [0, 1, 2].map(() => new Array(count).fill(null));
        const sums = this.sums(kind, ids);
        let samples = 0;
        for (let i = 0; i < this.length; i++) {
            const at = Math.floor((i + skipped) / each);
            const value = sums.mean[i];
            if (value !== value) {
                continue;
            }
            if (mean[at] === null) {
                samples = 1;
                [mean[at], low[at], high[at]] = [value, sums.low[i], sums.high[i]];
            } else {
                samples++;
                mean[at] += (value - mean[at]) / samples;
                low[at] = Math.min(low[at], sums.low[i]);
                high[at] = Math.max(high[at], sums.high[i]);
            }
        }
        return { mean, low, high };
    }

    /// In a sum, one that is late by a column or two counts with what it had, or each sum would end in a cliff.
    sums(kind, ids) {
        const part = (name) => this.series.get(ids[0])?.[name].subarray(this.start, this.start + this.length);
        const nothing = () => new Float32Array(this.length).fill(NaN);
        if (ids.length === 1) {
            const mean = part(kind) ?? nothing();
            return { mean, low: part(`${kind}_min`) ?? mean, high: part(`${kind}_max`) ?? mean };
        }
        const sum = { mean: nothing(), low: nothing(), high: nothing() };
        for (const series of ids.map((id) => this.series.get(id)).filter(Boolean)) {
            for (const [name, target] of [[kind, sum.mean], [`${kind}_min`, sum.low], [`${kind}_max`, sum.high]]) {
                let last = NaN;
                let late = 0;
                for (let i = 0; i < this.length; i++) {
                    let value = series[name][this.start + i];
                    if (value === value) {
                        [last, late] = [value, 0];
                    } else if (late++ < LATE) {
                        value = last;
                    }
                    if (value === value) {
                        target[i] = target[i] === target[i] ? target[i] + value : value;
                    }
                }
            }
        }
        return sum;
    }
}
