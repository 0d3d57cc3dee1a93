// Notices: alarms, the collector's health, and what to do when nothing is there.

import { bold, item } from "./events.js";
import { bytes, count, moment, number, span } from "./format.js";

/// More alarms than this are one line.
const ALARMS = 1;
/// Alarms that are named in that line, at most.
const NAMED = 3;
/// And this many are shown at most.
const ALARMS_OPEN = 200;
const SAID_AGAIN = 5000;
export const LINKS = { connecting: "connecting", live: "live", paused: "paused", past: "past range", away: "the collector is away, connecting again" };

/// As the collector calls itself.
const OWN = "switchboard";

const element = (id) => document.getElementById(id);

let alarmsShown = "";
/// Alarms that somebody has seen enough of, until they are over.
let dismissed = new Set();
let isOpen = false;

function pressed(words, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.append(words);
    made.addEventListener("click", act);
    return made;
}

export function alarms(processes, now) {
    const all = [];
    for (const process of processes) {
        if (process.state === "silent") {
            all.push([`silent ${process.id}`, process.name, `has been silent since ${moment(process.last, now)}`, process.last]);
        } else if (process.leak && process.state === "live") {
            const { mb_per_hour: growth, since } = process.leak;
            all.push([`leak ${process.id}`, process.name, `leaks: memory has grown by ${number(growth)} MB/h since ${moment(since, now)}`, since]);
        }
    }
    const keys = all.map(([key]) => key);
    dismissed = new Set(keys.filter((key) => dismissed.has(key)));
    const found = all.filter(([key]) => !dismissed.has(key));
    const text = JSON.stringify([found, isOpen]);
    if (text === alarmsShown) {
        return;
    }
    alarmsShown = text;
    const again = () => alarms(processes, now);
    const dismiss = pressed("Dismiss", () => {
        dismissed = new Set(keys);
        again();
    });
    const items = found.map(([, name, words]) => item(bold(name), words));
    if (found.length > ALARMS) {
        const since = Math.min(...found.map(([, , , time]) => time));
        const show = pressed(isOpen ? "Hide" : "Show", () => {
            isOpen = !isOpen;
            again();
        });
        const isAny = (kind) => found.some(([key]) => key.startsWith(kind));
        const what = ["silent", "leak"].filter(isAny).map((kind) => (kind === "leak" ? "leaking" : kind)).join(" or ");
        const who = found.length <= NAMED ? found.map(([, name]) => name).join(", ") : count(found.length, "process");
        const line = item(bold(who), `${what}, the first since ${moment(since, now)}`, show);
        items.splice(0, isOpen ? 0 : items.length, line);
    }
    items[0]?.append(dismiss);
    element("alarms").replaceChildren(...items.slice(0, ALARMS_OPEN));
    document.title = all.length > 0 ? `(${all.length}) Switchboard monitor` : "Switchboard monitor";
}

let said = 0;

/// For screen readers, and seldom: many things at once are a number.
export function say(annotation, name) {
    if (!["silent", "back", "leak", "restart"].includes(annotation.kind) || Date.now() - said < SAID_AGAIN) {
        return;
    }
    said = Date.now();
    element("said").textContent = `${name}: ${annotation.text}`;
}

const delay = (ms) => (ms >= 10_000 ? span(ms) : `${Math.round(ms ?? 0).toLocaleString("en")} ms`);

/// Lost parts of the history, and where they were put.
function damage({ history_damaged: damaged, history_torn_bytes: torn, history_set_aside: aside }) {
    const cut = torn > 0 ? [[`${count(torn, "byte")} at the ends of files were not written wholly, and are cut off`, false]] : [];
    if (!(damaged > 0)) {
        return cut;
    }
    const names = (aside ?? []).map((path) => path.split("/").pop());
    const kept = names.length > 0 ? `; kept as ${names.slice(0, 3).join(", ")}${names.length > 3 ? ", ..." : ""}` : "";
    return [[`${count(damaged, "place")} of the history could not be read, or is missing${kept}`, true], ...cut];
}

/// The collector's health: `parts` are [text, whether it is bad].
export function self(health) {
    const lag = health.lag_ms ?? health.lag ?? {};
    const refused = typeof health.refused === "object" ? Object.values(health.refused ?? {}).reduce((sum, count) => sum + count, 0) : health.refused;
    const parts = [
        // Late samples are no fault: what an agent kept while the collector was away is as late as it should be.
        [`arrival lag p50 ${delay(lag.p50)}, p99 ${delay(lag.p99)}`, false],
        [`dropped ${health.dropped ?? 0}`, health.dropped > 0],
        [`refused ${refused ?? 0}`, refused > 0],
        ...damage(health),
        ...(health.history_failed_writes > 0 ? [[`${count(health.history_failed_writes, "write")} to the disk failed`, true]] : []),
        [`the collector itself: ${number(health.cpu)} % CPU, ${number(health.mem)} MB, ${bytes(health.disk_bytes ?? 0)} on disk`, false],
        [`up ${span((health.uptime ?? 0) * 1000)}`, false],
    ];
    element("self").replaceChildren(...parts.map(([words, bad]) => {
        const made = document.createElement("span");
        made.className = bad ? "bad" : "";
        made.append(words);
        return made;
    }));
}

/// Commands that send the first sample, and work where this page is.
export function empty(processes) {
    const nobody = processes.length === 0;
    const alone = processes.every((process) => process.service === OWN);
    element("empty").hidden = !alone;
    element("charts").hidden = nobody;
    element("empty-title").textContent = nobody ? "Nothing has reported yet" : "Nothing but Switchboard itself has reported yet";
    if (!alone || element("first-post").textContent !== "") {
        return;
    }
    element("first-command").textContent = `switchboard agent -s ${location.origin} sleep 600`;
    element("first-post").textContent = `curl ${location.origin}/api/samples -d '{"color": "teal", "timestamp": "'$(date -u +%FT%TZ)'", "cpu": 12.5, "mem": 64}'`;
    element("copy").addEventListener("click", async () => {
        const command = element("first-command").textContent;
        try {
            await navigator.clipboard.writeText(command);
            element("copy").textContent = "Copied";
        } catch {
            getSelection().selectAllChildren(element("first-command"));
        }
    });
}
