// Which points of a line belong together: up to the silence limit nothing is missing, a sender is only slow.

/// Takes means with null where there is nothing. Holes that last no longer than `limit` milliseconds from point to point
/// become undefined, which a line crosses; `lone` are the points that no line reaches.
export function connect(values, step, limit) {
    const joined = values.slice();
    const lone = [];
    const near = (from, to) => from >= 0 && to < values.length && (to - from === 1 || (to - from) * step <= limit);
    let before = -1;
    let wasNear = false;
    for (let at = 0; at < values.length; at++) {
        if (values[at] === null) {
            continue;
        }
        const isNear = near(before, at);
        if (isNear) {
            joined.fill(undefined, before + 1, at);
        }
        if (before >= 0 && !wasNear && !isNear) {
            lone.push(before);
        }
        [before, wasNear] = [at, isNear];
    }
    if (before >= 0 && !wasNear) {
        lone.push(before);
    }
    return { joined, lone };
}

/// The nearest point to this one, not farther than `limit` milliseconds; itself if there is none.
export function nearest(values, at, step, limit) {
    const far = Math.floor(limit / step / 2) + 1;
    for (let away = 0; away <= far; away++) {
        for (const other of [at - away, at + away]) {
            if (values[other] !== null && values[other] !== undefined) {
                return other;
            }
        }
    }
    return at;
}
