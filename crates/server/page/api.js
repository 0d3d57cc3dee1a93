// Questions to the broker, and what it is told to do.

import { SILENCE } from "/live.js";
import { encoded } from "./names.js";

/// Milliseconds after which the answer to an order is not waited for any more: it may wait for room itself.
const PATIENCE = 20_000;

/// An answer that says what is wrong, in a sentence.
export class Refused extends Error {
    constructor(status, text) {
        super(text.trim() || `the broker answers ${status}`);
        this.status = status;
    }
}

async function ask(path, options = {}, patience = SILENCE) {
    const signals = [AbortSignal.timeout(patience), options.signal].filter(Boolean);
    const answer = await fetch(path, { ...options, signal: AbortSignal.any(signals) });
    if (!answer.ok) {
        throw new Refused(answer.status, await answer.text());
    }
    return answer.json();
}

const query = ({ filter, sort, limit }) => new URLSearchParams({ filter, sort, limit }).toString();

export const table = (name, wanted, signal) => ask(`/page/${name}?${query(wanted)}`, { signal });

/// Null if there is no such channel now.
export const channel = (named, signal) => ask(`/page/channel?name=${encoded(named)}`, { signal });

/// Messages that wait in a queue, from `after` on or from the first one, which stay there.
export const peek = (named, after) => ask(`/queues/peek?name=${encoded(named)}&limit=20&bytes=65536${after === null ? "" : `&after=${after}`}`);

const post = (path, body) => ask(path, { method: "POST", body }, PATIENCE);

export const publish = (named, body) => post(`/page/publish?name=${encoded(named)}`, body);
export const purge = (named) => post(`/queues/purge?name=${encoded(named)}`);
export const pause = (named) => post(`/queues/pause?name=${encoded(named)}`);
export const resume = (named) => post(`/queues/resume?name=${encoded(named)}`);
/// Null moves dead letters back to where they came from.
export const move = (named, to) => post(`/queues/move?name=${encoded(named)}${to === null ? "" : `&to=${encoded(to)}`}`);
export const kick = (id) => post(`/kick?connection=${id}`);
export const tail = (named) => `/page/tail?name=${encoded(named)}`;

/// The reason for which a stream is refused, which an EventSource does not tell; null if it is not refused any more.
export async function refusal(path) {
    const asking = new AbortController();
    const answer = await fetch(path, { signal: AbortSignal.any([asking.signal, AbortSignal.timeout(PATIENCE)]) });
    if (answer.ok) {
        // It is another stream, which nobody reads.
        asking.abort();
        return null;
    }
    if (answer.status === 401) {
        return "this server asks for its access token, so load the page again";
    }
    return (await answer.text()).trim() || `the answer is ${answer.status}`;
}
