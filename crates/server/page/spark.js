// Sparklines: the rates since the page was opened, as far back as there is room.

const SVG = "http://www.w3.org/2000/svg";
/// Points of a line, at most; and for how many there is room at least, so that the first ones are not stretched.
const POINTS = 60;
const FEWEST = 12;
/// Rows whose past is kept; those that were not shown for longest are forgotten.
const ROWS = 1000;

export class Past {
    constructor() {
        this.rows = new Map();
    }

    /// Adds a point of several values, and returns all points of this key.
    add(key, values) {
        const points = this.rows.get(key) ?? [];
        points.push(values);
        points.splice(0, points.length - POINTS);
        this.rows.delete(key);
        this.rows.set(key, points);
        if (this.rows.size > ROWS) {
            this.rows.delete(this.rows.keys().next().value);
        }
        return points;
    }
}

function shape(svg, at, tag, kind) {
    let made = svg.children[at];
    if (made === undefined) {
        made = document.createElementNS(SVG, tag);
        made.setAttribute("class", kind);
        svg.append(made);
    }
    return made;
}

/// Draws one line for each value of the points, from the left on; the first one is filled. One point is drawn as a short line.
export function spark(svg, known) {
    const points = known.length === 1 ? [known[0], known[0]] : known;
    const lines = points[0]?.length ?? 0;
    const width = Math.max(FEWEST, points.length) - 1;
    svg.setAttribute("viewBox", `0 0 ${width} 20`);
    svg.setAttribute("preserveAspectRatio", "none");
    const most = Math.max(1, ...points.flat());
    const y = (value) => (19 - (value / most) * 17).toFixed(1);
    const line = (of) => points.map((values, at) => `${at},${y(values[of])}`);
    const area = shape(svg, 0, "polygon", "area");
    area.setAttribute("points", points.length > 0 ? ["0,20", ...line(0), `${points.length - 1},20`].join(" ") : "");
    for (let of = 0; of < lines; of++) {
        shape(svg, of + 1, "polyline", of === 0 ? "in" : "out").setAttribute("points", line(of).join(" "));
    }
}
