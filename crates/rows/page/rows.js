// Shows the cache live, and lets one try the API. Every text of the database is put in as text, never as markup.

import { Link, SILENCE } from "/live.js";

const find = (id) => document.getElementById(id);
const LOOK = 500;
const RETRY = 2000;
const AGAIN = 250;
const SHOWN_EVENTS = 100;
let repeating = 0;
/// The page has seen the database, so that a gap after that hides changes.
let wasLive = false;

/// A stream that was silent may be none any more.
const link = new Link(() => {
    events.close();
    listen();
    missed();
});

function problem(text) {
    find("problem").hidden = !text;
    if (find("problem").textContent !== text) {
        find("problem").textContent = text;
    }
}

function element(name, text, className) {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) {
        made.className = className;
    }
    return made;
}

function number(value) {
    return value.toLocaleString("en-US");
}

// The tables, as links that fill in the form.
function showTables(tables, reason) {
    const shown = JSON.stringify([tables, reason]);
    if (find("tables").dataset.shown === shown) {
        return;
    }
    find("tables").dataset.shown = shown;
    find("tables").replaceChildren(...tables.map((table) => {
        const item = element("li", "");
        const link = element("a", table.name);
        link.href = `/${encodeURIComponent(table.name)}?limit=20`;
        item.append(link, " ");
        const columns = (table.columns ?? []).map((column) => `${column.name} ${column.type}`).join(", ");
        item.append(element("small", table.key ? `key ${table.key.join(", ")}; ${columns}` : ""));
        // The reason why there is no database stands above, once.
        if (table.problem && table.problem !== reason) {
            item.append(element("div", `not cached: ${table.problem}`, "why"));
        }
        return item;
    }));
}

function showStatus(status) {
    link.say(status.state, status.state === "live" ? "live" : "no database");
    problem(status.reason ?? "");
    wasLive ||= status.state === "live";
    for (const [id, key] of [["hits", "hits"], ["misses", "misses"], ["bypasses", "bypasses"], ["events-count", "events"], ["rows", "rows"], ["inconsistent", "inconsistent"]]) {
        find(id).textContent = number(status[key] ?? 0);
    }
    find("inconsistent").dataset.bad = String((status.inconsistent ?? 0) > 0);
    find("longest").textContent = status.longest_inconsistent_ms > 0 ? `${Math.round(status.longest_inconsistent_ms)} ms` : "\u2013";
    find("age").textContent = typeof status.age_ms === "number" ? `${Math.round(status.age_ms)} ms` : "\u2013";
    showTables(status.tables ?? [], status.reason ?? "");
    for (const option of find("method").options) {
        option.disabled = status.read_only && option.value !== "GET";
    }
}

async function watch() {
    let wait = LOOK;
    try {
        const answer = await fetch("/status", { signal: AbortSignal.timeout(SILENCE) });
        showStatus(await answer.json());
        link.heard();
    } catch (error) {
        // The link says for how long there has been no data.
        if (error.name !== "TimeoutError") {
            link.say("away", "the service does not answer");
        }
        wait = RETRY;
    }
    setTimeout(watch, document.hidden ? RETRY : wait);
}

function pretty(text) {
    try {
        // Numbers that JavaScript would round are shown as they came.
        return /\d{16}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text;
    }
}

async function send() {
    const method = find("method").value;
    const headers = { Consistency: find("consistency").value };
    const hasBody = method !== "GET" && method !== "DELETE";
    if (hasBody) {
        headers["Content-Type"] = "application/json";
    }
    const begun = performance.now();
    try {
        const answer = await fetch(find("path").value, { method, headers, body: hasBody ? find("body").value : undefined, cache: "no-store" });
        const text = await answer.text();
        const elapsed = performance.now() - begun;
        const cache = answer.headers.get("x-cache") ?? "";
        find("status-code").textContent = `${answer.status} ${answer.statusText}`;
        find("cache-state").textContent = cache;
        find("cache-state").dataset.state = cache;
        const age = answer.headers.get("x-cache-max-age-ms");
        find("elapsed").textContent = `${elapsed.toFixed(1)} ms${cache === "hit" ? `, at most ${age} ms old` : ""}`;
        find("answer-body").textContent = pretty(text);
        find("answer-headers").textContent = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    } catch (error) {
        find("status-code").textContent = "no answer";
        find("cache-state").textContent = "";
        find("elapsed").textContent = "";
        find("answer-body").textContent = String(error);
        find("answer-headers").textContent = "";
    }
    find("answer").hidden = false;
}

function repeat(on) {
    clearInterval(repeating);
    repeating = on ? setInterval(send, AGAIN) : 0;
    find("repeat").setAttribute("aria-pressed", String(on));
}

function showEvent(title, text, isGap) {
    find("no-events").hidden = true;
    const item = element("li", "", isGap ? "gap" : "");
    const now = new Date();
    const time = element("time", now.toLocaleTimeString("en-GB"));
    time.dateTime = now.toISOString();
    item.append(time, element("strong", title), element("code", text));
    find("events").prepend(item);
    while (find("events").children.length > SHOWN_EVENTS) {
        find("events").lastElementChild.remove();
    }
}

/// Without a database there has been nothing to miss yet.
const missed = () => wasLive && showEvent("gap", "changes may have been missed here", true);
let events = null;

function listen() {
    const source = new EventSource("/events");
    events = source;
    source.onmessage = (message) => {
        let title = "change";
        try {
            const event = JSON.parse(message.data);
            const id = event.id ?? event.ids;
            title = `${event.type} ${event.table}${id === undefined ? "" : ` ${JSON.stringify(id)}`}`;
        } catch {
            // It is shown as it came.
        }
        wasLive = true;
        showEvent(title, message.data, false);
    };
    source.addEventListener("gap", missed);
    source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) {
            setTimeout(() => events === source && listen(), RETRY);
        }
    };
}

function bodyLine() {
    // A change of rows is sent once.
    const reads = find("method").value === "GET";
    find("repeat").hidden = !reads;
    if (!reads) {
        repeat(false);
    }
    find("body-line").hidden = ["GET", "DELETE"].includes(find("method").value);
}

/** The row's path, while the path is its table's. */
let row = "";

/** A new row has no path yet: it goes to the table. */
function fitPath() {
    const path = find("path");
    const table = /^\/[^/?]+/.exec(path.value)?.[0];
    if (find("method").value === "POST") {
        if (table !== undefined && path.value.startsWith(`${table}/`)) {
            row = path.value;
            path.value = table;
        }
    } else if (row.startsWith(`${path.value}/`)) {
        path.value = row;
    }
}

find("try").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
});
find("repeat").addEventListener("click", () => repeat(!repeating));
find("method").addEventListener("change", () => {
    bodyLine();
    fitPath();
});
find("tables").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link) {
        event.preventDefault();
        find("method").value = "GET";
        find("path").value = link.getAttribute("href");
        bodyLine();
        send();
    }
});
bodyLine();
watch();
listen();
