// Questions to the broker, and what it is told to do.

import { encoded } from "./names.js";

/// Milliseconds after which an answer is not waited for any more.
const PATIENCE = 20_000;

/// An answer that says what is wrong, in a sentence.
export class Refused extends Error {
    constructor(status, text) {
        super(text.trim() || `the broker answers ${status}`);
        this.status = status;
    }
}

async function ask(path, options = {}) {
    const signals = [AbortSignal.timeout(PATIENCE), options.signal].filter(Boolean);
    const answer = await fetch(path, { ...options, signal: AbortSignal.any(signals) });
    if (!answer.ok) {
        throw new Refused(answer.status, await answer.text());
    }
    return answer.json();
}

const query = ({ filter, sort, limit }) => new URLSearchParams({ filter, sort, limit }).toString();

export const table = (name, wanted, signal) => ask(`/page/${name}?${query(wanted)}`, { signal });

/// Null if there is no such channel now.
export async function channel(named, signal) {
    try {
        return await ask(`/page/channel?name=${encoded(named)}`, { signal });
    } catch (error) {
        if (error.status === 404) {
            return null;
        }
        throw error;
    }
}

const post = (path, body) => ask(path, { method: "POST", body });

export const publish = (named, body) => post(`/page/publish?name=${encoded(named)}`, body);
export const purge = (named) => post(`/purge?queue=${encoded(named)}`);
export const kick = (id) => post(`/kick?connection=${id}`);
export const tail = (named) => `/page/tail?name=${encoded(named)}`;
