// The values of all lines under the cursor, beside it: in each chart its own, the greatest first.

import { number } from "./format.js";
import { sample } from "./table.js";

/// More than these would hide the lines.
const SHOWN = 10;
/// Pixels of a row, and of the list's place and frame: it does not reach into the chart below.
const ROW = 18;
const FRAME = 18;
/// Pixels between the cursor and the list.
const AWAY = 14;

export class Legend {
    constructor(box) {
        this.box = box;
        this.place = document.createElement("ol");
        this.place.className = "legend";
        this.place.hidden = true;
        // The table says the same to who cannot see it.
        this.place.setAttribute("aria-hidden", "true");
        box.append(this.place);
    }

    hide() {
        this.place.hidden = true;
    }

    /// `values` are [line, value]; `left` is the cursor in the plot, which begins at `begin` and is `width` wide, in pixels.
    show(values, focus, left, begin, width) {
        const known = values.filter(([, value]) => value !== null && value !== undefined).sort(([, a], [, b]) => b - a);
        const fit = Math.floor((this.box.clientHeight - FRAME) / ROW);
        const most = Math.min(SHOWN, known.length > fit ? fit - 1 : fit);
        // The line that is meant is shown, however small its value.
        const meant = known.slice(most).filter(([line]) => line.key === focus);
        const shown = [...known.slice(0, most - meant.length), ...meant];
        const rows = shown.map(([line, value]) => row(line, value, line.key === focus));
        if (known.length > shown.length) {
            const more = document.createElement("li");
            more.textContent = `and ${known.length - shown.length} more`;
            rows.push(more);
        }
        this.place.replaceChildren(...rows);
        this.place.hidden = rows.length === 0;
        // Beside the cursor, and inside of the chart whatever its width: over the cursor where there is no room beside it.
        const wide = this.place.offsetWidth;
        const beside = left > width / 2 ? begin + left - AWAY - wide : begin + left + AWAY;
        this.place.style.left = `${Math.max(0, Math.min(beside, this.box.clientWidth - wide))}px`;
    }
}

function row(line, value, isMeant) {
    const made = document.createElement("li");
    const [name, amount] = ["span", "b"].map((tag) => document.createElement(tag));
    const stroke = sample(made);
    stroke.setAttribute("stroke", line.style.stroke);
    stroke.setAttribute("stroke-dasharray", line.style.dash.join(" "));
    name.textContent = line.name;
    amount.textContent = number(value);
    made.append(name, amount);
    made.dataset.meant = String(isMeant);
    return made;
}
