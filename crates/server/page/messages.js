// Messages as a list: their text, or hex where they are no text.

import { clock, count, span, whole } from "./format.js";
import { make } from "./table.js";

const SHOWN = 200;

const spaced = (hex) => hex.replace(/../g, "$& ").trim();

/// One message; `notes` stand beside its size.
export function message({ body, hex, bytes }, notes) {
    const cut = body === undefined ? hex.length / 2 < bytes : new TextEncoder().encode(body).length < bytes;
    const facts = [...notes, count(bytes, "byte"), cut ? "cut" : ""].filter((note) => note !== "").join(" \u00b7 ");
    const text = body === undefined ? make("pre", "hex", spaced(hex)) : make("pre", "", body);
    return make("li", "", make("small", "", facts), text);
}

const hexOf = (base64) => [...atob(base64)].map((sign) => sign.charCodeAt(0).toString(16).padStart(2, "0")).join("");

/// A header's value. A dead letter's time is shown as one, by the clock of who looks.
function readable(name, value) {
    const isTime = name === "dead-letter-time" && /^\d{1,15}$/.test(value);
    return isTime ? `${value} (${new Date(Number(value)).toLocaleString("sv")})` : value;
}

/// One message that waits in a queue.
export function waiting({ body, body_base64: base64, length, age_s: age, attempts, redelivered, postponed_s: postponed, headers, seq }) {
    const notes = [
        `#${whole(seq)}`, `${span(age)} old`,
        attempts > 0 ? count(attempts, "failed try", "failed tries") : redelivered ? "redelivered" : "",
        postponed === null ? "" : `waits ${span(postponed)} more`,
    ];
    const made = message({ body, hex: base64 === undefined ? undefined : hexOf(base64), bytes: length }, notes);
    if (headers !== undefined) {
        made.append(make("p", "headers", headers.map(([name, value]) => `${name}: ${readable(name, value)}`).join("\n")));
    }
    return made;
}

/// Puts a sample at the head of a list, with what was left out before it.
export function add(list, sample) {
    if (sample.left_out > 0) {
        list.prepend(make("li", "gap", `${count(sample.left_out, "message")} not shown`));
    }
    list.prepend(message(sample, [clock(new Date())]));
    while (list.children.length > SHOWN) {
        list.lastChild.remove();
    }
}
