// Puts the page together: what is looked at (view), what is known (processes, columns, annotations), what is drawn.

import { Link, SILENCE } from "/live.js";
import * as api from "./api.js";
import { Charts } from "./charts.js";
import { Colors } from "./color.js";
import { Columns } from "./columns.js";
import { controls } from "./controls.js";
import { events, FEW, folded } from "./events.js";
import { Feed } from "./feed.js";
import { moment, span } from "./format.js";
import * as notices from "./notices.js";
import { choose, lines, Processes } from "./processes.js";
import { next, Table } from "./table.js";
import { View } from "./view.js";

/// Lines that an eye can tell apart, and that a browser draws at ease.
const LINES = 40;
/// Values that one load may bring.
const VALUES = 120_000;
const COLUMNS = 3600;
/// Milliseconds between drawings of what streams in, at least; and how many times as long as a drawing takes.
const REDRAW = 250;
const IDLE = 8;
/// Milliseconds between questions.
const ASK = 5000;
const BEAT = 950;
/// The usual range is loaded anew when it has grown so much.
const GROWTH = 1.25;

/// A restart says more than the gap that it makes.
const inOrder = (a, b) => a.time - b.time || Number(a.kind === "gap") - Number(b.kind === "gap");
const element = (id) => document.getElementById(id);
const colors = new Colors();
const processes = new Processes(colors);
const link = new Link(() => {
    feed.renew();
    load();
});
const view = new View(location);
let columns = null;
let annotations = [];
let drawn = new Set();
let loading = null;
/// Processes that came later are known from the beginning; others only as far as asked for.
let loadedAt = 0;
let feedState = "connecting";
/// Samples that came while the history was on its way.
let early = [];

const theme = () => {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(["text", "quiet", "rule", "bad"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
};
let shownTheme = theme();

const table = new Table({
    toggle: (key) => {
        view.hidden.delete(key) || view.hidden.add(key);
        look(false);
    },
    hover: (key) => charts.highlight(key),
    sort: (key) => {
        view.sort = next(view.sort, key);
        look(false);
    },
});
const charts = new Charts({
    zoom: (from, to) => { view.zoomTo(from, to); look(true); },
    pan: (ms) => {
        const { from, to } = view.window(processes.now());
        view.panBy(ms / (to - from), processes.now());
        refresh(true);
        settle();
    },
    live: () => { view.resume(); look(true); },
    cursor: (key, under) => {
        table.focus(key);
        table.cursor(under?.values ?? null);
        element("at").textContent = under === null ? "" : `at ${moment(under.time, processes.now())}`;
    },
}, () => ({ annotations, lines: charts.lines, often: often(), theme: shownTheme, now: processes.now() }));

/// Events that are told in one line: over a chart all of them would hide the lines.
const often = () => new Set(folded(annotations, processes.byId).flatMap(([, , events]) => (events.length > FEW ? events : [])));

/// Shows what the view says, and keeps it in the address; `step` makes the back button return to what was before.
function look(step) {
    const address = location.pathname + view.search();
    if (step && address !== location.pathname + location.search) {
        history.pushState(null, "", address);
    } else {
        history.replaceState(null, "", address);
    }
    buttons.show();
    refresh(true);
    if (step) {
        load();
    }
}

/// Loads when a movement has ended; browsers let no page change its address at each step of one.
let settling = 0;
function settle() {
    clearTimeout(settling);
    settling = setTimeout(() => {
        settling = 0;
        look(false);
        load();
    }, 150);
}

const wanted = () => lines(processes.all(), colors, view, view.window(processes.now()).from);

/// An answer of /api/processes.
function know(known) {
    processes.load(known);
    view.oldest = processes.oldest();
}

async function load() {
    loading?.abort();
    const mine = new AbortController();
    loading = mine;
    early = [];
    try {
        know(await api.ask("/api/processes", mine.signal));
        const window = view.window(processes.now());
        const all = wanted();
        const some = view.group === "service" ? all : choose(all, LINES, drawn);
        const ids = some.flatMap((line) => line.ids);
        const seconds = Math.ceil((window.to - window.from) / 1000);
        const points = Math.max(60, Math.min(seconds, COLUMNS, Math.floor(VALUES / 2 / Math.max(1, ids.length))));
        // All of them need no list, and a thousand numbers would make a long address.
        const listed = ids.length < processes.byId.size && ids.length <= LINES ? ids : [];
        const [past, happened] = await Promise.all([
            api.history(window, points, listed, mine.signal),
            api.annotations(window, mine.signal),
        ]);
        columns = Columns.of(past, processes.now());
        annotations = happened.sort(inOrder);
        loadedAt = processes.now();
        ids.forEach((id) => columns.ensure(id));
        early.forEach(([sample, time]) => put(sample, time));
    } catch (error) {
        if (error.name !== "AbortError" && loading === mine) {
            // The collector is away; it is asked again when the stream is back.
            setTimeout(() => loading === mine && load(), 2000);
        }
        return;
    }
    loading = null;
    early = [];
    refresh(true);
}

function take(sample) {
    link.heard();
    const time = Date.parse(sample.timestamp);
    if (!processes.take(sample, time)) {
        newcomers();
    }
    if (loading !== null) {
        early.push([sample, time]);
    }
    if (columns !== null && view.live) {
        columns.moveTo(Math.min(time, processes.now()));
        put(sample, time);
    }
    refresh(false);
}

function put(sample, time) {
    const isNew = (processes.byId.get(sample.id)?.first ?? 0) > loadedAt;
    if (columns.series.has(sample.id) || isNew) {
        columns.put(sample.id, time, sample.cpu, sample.mem);
    }
}

/// Somebody whom we do not know: who that is says the list, once for all that come together.
let asking = 0;
function newcomers() {
    if (asking === 0) {
        asking = setTimeout(async () => {
            try {
                know(await api.ask("/api/processes"));
                refresh(false);
            } catch {
                // The next sample asks again.
            }
            asking = 0;
        }, 200);
    }
}

function annotate(annotation) {
    const { from, to } = view.window(processes.now());
    if (annotation.time >= from && (view.live || annotation.time <= to)) {
        annotations.push(annotation);
        annotations.sort(inOrder);
    }
    notices.say(annotation, processes.byId.get(annotation.id)?.name ?? `process ${annotation.id}`);
    newcomers();
}

/// Draws soon, at most once a frame. What streams in waits for more of it; what a person does is shown at once.
let frame = 0;
let drawnAt = 0;
let pause = REDRAW;
let waiting = 0;
let urgent = false;
function refresh(atOnce) {
    urgent ||= atOnce;
    const wait = drawnAt + pause - performance.now();
    if (frame !== 0 || (!atOnce && waiting !== 0)) {
        return;
    }
    if (!atOnce && wait > 0) {
        waiting = setTimeout(paint, wait);
        return;
    }
    paint();
}

function paint() {
    clearTimeout(waiting);
    waiting = 0;
    frame ||= requestAnimationFrame(() => {
        frame = 0;
        const began = performance.now();
        draw();
        drawnAt = performance.now();
        urgent = false;
        pause = Math.max(REDRAW, (drawnAt - began) * IDLE);
    });
}

let tableAt = 0;
function draw() {
    const now = processes.now();
    if (columns === null) {
        return;
    }
    notices.empty(processes.all());
    notices.alarms(processes.all(), now);
    if (processes.byId.size === 0) {
        return;
    }
    // A window never moves back: after a clock was set back it is loaded anew.
    if (loading === null && view.live && processes.isAhead(columns.to - columns.step)) {
        load();
    }
    if (view.live) {
        columns.moveTo(now - 1000);
        const { from } = view.window(now);
        annotations = annotations.filter((annotation) => annotation.time >= from);
    }
    const all = wanted();
    const some = choose(all, LINES, drawn);
    drawn = new Set(some.map((line) => line.key));
    const window = view.live ? { from: columns.from, to: columns.to } : view.window(now);
    charts.draw(columns, some, window, shownTheme, processes.silence);
    // Its figures are read, so they need not change more often than they are sent.
    if (urgent || now - tableAt >= BEAT) {
        tableAt = now;
        all.forEach((line) => { line.drawn = drawn.has(line.key); });
        // A pause is a look at what is drawn, a range of the past is another time.
        const latest = view.live || view.paused ? null : charts.latest();
        table.draw(all, charts.peaks(), latest, view.group === "service", view.sort, now, link.isSilent);
    }
    const ids = new Set(all.flatMap((line) => line.ids));
    const told = view.filter === "" ? annotations : annotations.filter(({ id }) => ids.has(id));
    events(told, processes.byId, now);
    const shown = all.filter((line) => line.shown).length;
    const few = shown > some.length ? `${some.length} of ${shown} lines are drawn: those that use most. Filter or group to see others.` : "";
    for (const chart of document.querySelectorAll(".chart, .hint")) {
        chart.hidden = all.length === 0 && view.filter !== "";
    }
    element("few").textContent = all.length === 0 && view.filter !== "" ? "No process matches the filter." : few;
    const point = charts.banded ? "mean; the band shows minimum and maximum" : "maximum";
    element("resolution").textContent = charts.step > 1000 ? `Each point is a ${span(charts.step)} ${point}.` : "";
    element("csv").href = api.csv(window);
    showLink();
    if (!view.chosen) {
        buttons.show();
    }
    // The usual range grows until it is whole.
    if (loading === null && settling === 0 && view.live && view.span(now) > GROWTH * (columns.to - columns.from)) {
        settle();
    }
    // One that was not drawn until now has no past here yet.
    if (loading === null && settling === 0 && some.some((line) => line.ids.some((id) => !columns.series.has(id) && processes.byId.get(id).first <= loadedAt))) {
        settle();
    }
}

function showLink() {
    const state = feedState !== "live" ? feedState : view.paused ? "paused" : view.live ? "live" : "past";
    link.say(state, notices.LINKS[state]);
}

const buttons = controls(view, {
    now: () => processes.now(),
    look,
    filter: () => { refresh(true); settle(); },
    group: () => { view.hidden.clear(); look(true); },
});

let wasAway = false;
const feed = new Feed({
    sample: take,
    annotation: annotate,
    missed: load,
    state: (state) => {
        // Missed samples stream in now; processes that came or went must be asked for.
        if (state === "live" && wasAway) {
            load();
        }
        wasAway = state === "away";
        feedState = state;
        showLink();
    },
});

addEventListener("popstate", () => { Object.assign(view, new View(location)); look(false); load(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colors.retheme();
    shownTheme = theme();
    refresh(true);
});

let isAsking = false;
async function ask() {
    if (isAsking) {
        return;
    }
    isAsking = true;
    try {
        // After a silence each connection that the browser has kept may be dead, and costs the limit of a request.
        const patience = link.isSilent ? SILENCE / 4 : SILENCE;
        const [known, itself] = await Promise.all(["/api/processes", "/api/self"].map((path) => api.ask(path, undefined, patience)));
        link.heard();
        feed.check(Math.max(...known.processes.map((process) => process.last)), known.now);
        know(known);
        notices.self(itself);
        refresh(false);
    } catch {
        // The link says that it is away, or that there is no data.
    }
    isAsking = false;
}
setInterval(() => document.hidden || ask(), ASK);
// A line moves on also while nothing comes: that is how a silence is seen.
setInterval(() => document.hidden || refresh(false), 1000);
document.addEventListener("visibilitychange", () => document.hidden || (ask(), refresh(true)));

buttons.show();
load();
ask();
