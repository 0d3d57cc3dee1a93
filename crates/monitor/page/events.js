// The events of the range that is shown: restarts, gaps, ends, silences and leaks.

import { moment } from "./format.js";

/// Lines of the list, at most, and of a folded one.
const SHOWN = 60;
/// More events of a service and of one kind than these are one line.
export const FEW = 3;

const WORDS = {
    restart: "restarts", gap: "gaps", silent: "silences", back: "ends of silences", ended: "ends", leak: "leaks", leak_over: "ends of leaks",
    clock: "wrong clocks",
};

export function item(...parts) {
    const made = document.createElement("li");
    made.append(...parts);
    return made;
}

export function bold(words) {
    const made = document.createElement("b");
    made.append(words);
    return made;
}

/// The events of one service and kind together, in the order of the first of each: [[the service's name, the kind, its events]].
export function folded(annotations, processes) {
    const groups = new Map();
    for (const annotation of annotations) {
        const process = processes.get(annotation.id);
        const service = process?.service ?? process?.name ?? `process ${annotation.id}`;
        const key = JSON.stringify([service, annotation.kind]);
        const events = groups.get(key);
        if (events === undefined) {
            groups.set(key, [annotation]);
        } else {
            events.push(annotation);
        }
    }
    return [...groups].map(([key, events]) => [...JSON.parse(key), events]);
}

let shown = "";
/// Folded lines that somebody has opened, by service and kind.
const open = new Set();

export function events(annotations, processes, now) {
    const latest = annotations.toReversed();
    const text = latest.map((annotation) => `${annotation.time} ${annotation.id} ${annotation.kind}`).join() + processes.size;
    if (text === shown) {
        return;
    }
    shown = text;
    const groups = folded(latest, processes);
    const rows = groups.flatMap(([service, kind, events]) =>
        (events.length > FEW ? [[events[0].time, fold(service, kind, events, processes, now)]] : events.map((event) => [event.time, one(event, processes, now)])));
    const items = rows.sort(([a], [b]) => b - a).slice(0, SHOWN).map(([, made]) => made);
    document.getElementById("events").replaceChildren(...(items.length > 0 ? items : [item("None.")]));
}

function timeOf({ time }, now) {
    const made = document.createElement("time");
    made.dateTime = new Date(time).toISOString();
    made.append(moment(time, now));
    return made;
}

function one(annotation, processes, now) {
    const words = document.createElement("span");
    const name = processes.get(annotation.id)?.name ?? `process ${annotation.id}`;
    words.append(...(annotation.text.includes(name) ? [annotation.text] : [bold(name), ` ${annotation.text}`]));
    return item(timeOf(annotation, now), words);
}

/// Many events as one line, which can be opened.
function fold(service, kind, events, processes, now) {
    const made = document.createElement("details");
    const key = `${service} ${kind}`;
    made.open = open.has(key);
    made.addEventListener("toggle", () => (made.open ? open.add(key) : open.delete(key)));
    const summary = document.createElement("summary");
    summary.append(bold(service), ` ${events.length} ${WORDS[kind] ?? kind} since ${moment(events.at(-1).time, now)}`);
    const list = document.createElement("ol");
    list.append(...events.slice(0, SHOWN).map((event) => one(event, processes, now)));
    made.append(summary, list);
    return item(timeOf(events[0], now), made);
}
