// Operations on a queue: look at what waits in it, purge it, move its messages, pause it and let it go on.

import * as api from "./api.js";
import { confirmed, target } from "./confirm.js";
import { clock, count } from "./format.js";
import { waiting } from "./messages.js";
import { parsed, shown } from "./names.js";
import { button, make, text } from "./table.js";

/// Before the names of queues of dead letters.
const DEAD = "/queue/dead/";

/// The words for the answer to an order to move messages.
function movedWords({ moving, moved, stayed, reason }) {
    if (moved === undefined) {
        return `Moving ${count(moving, "message")}.`;
    }
    const words = `Moved ${count(moved, "message")}.`;
    if (stayed > 0) {
        throw new Error(`${words} ${count(stayed, "message")} could not be moved: ${reason}`);
    }
    return words;
}

export class Queue {
    /// `act` does something and says what came of it: (words of the answer, work).
    constructor(channel, act) {
        this.channel = channel;
        this.act = act;
        this.row = null;
        /// Messages are shown, which an order may take away.
        this.isLooking = false;
        this.name = shown(channel);
    }

    actions() {
        this.pause = button("", "Pause\u2026", () => this.pauses());
        this.pause.id = "pause";
        this.orders = [button("danger", "Purge\u2026", () => this.purges()), button("danger", "Move\u2026", () => this.moves()), this.pause];
        return this.orders;
    }

    fill(row) {
        this.row = row;
        // A queue that nobody uses is forgotten: there is nothing to do with it.
        this.orders.forEach((order) => { order.hidden = row === null; });
        text(this.pause, row?.is_paused ? "Resume" : "Pause\u2026");
    }

    /// The messages that an order is about, as the beginning of a sentence.
    get waiting() {
        const depth = this.row?.depth;
        return depth === undefined ? "All messages that wait" : depth === 1 ? "The one message that waits" : `The ${count(depth, "message")} that wait`;
    }

    async purges() {
        const words = `${this.waiting} in this queue will be thrown away, and reach nobody.`;
        if (await confirmed("Purge the queue", words, this.name, "Purge")) {
            await this.act(({ purged }) => `Purged ${count(purged, "message")}.`, () => api.purge(this.channel));
            this.lookAgain();
        }
    }

    async moves() {
        const areDead = this.channel.name.startsWith(DEAD);
        const to = await target(`${this.waiting} in this queue will be moved.`, this.name, areDead);
        if (to !== null) {
            await this.act(movedWords, () => api.move(this.channel, to === "" ? null : parsed(to)));
            this.lookAgain();
        }
    }

    async pauses() {
        if (this.row?.is_paused) {
            await this.act(() => "The queue goes on.", () => api.resume(this.channel));
        } else if (await confirmed("Pause the queue", "Its consumers get nothing more until it is resumed. Publishers go on until it is full.", this.name, "Pause")) {
            await this.act(() => "The queue is paused.", () => api.pause(this.channel));
        }
    }

    /// The buttons that ask for the messages that wait, and the messages.
    looking() {
        const list = make("ol", "messages");
        list.id = "waiting";
        list.setAttribute("aria-label", "Messages that wait");
        const state = make("p", "state");
        let after = null;
        const more = button("small", "Next 20", () => look());
        more.hidden = true;
        const look = async () => {
            this.isLooking = true;
            try {
                const answer = await api.peek(this.channel, after);
                list.replaceChildren(...answer.messages.map(waiting));
                after = answer.next;
                more.hidden = after === null;
                state.textContent = answer.messages.length === 0 ? nothing() : `Messages that waited at ${clock(new Date())}; they stay where they are.`;
                state.dataset.bad = "false";
            } catch (error) {
                [state.textContent, state.dataset.bad] = [error.message, "true"];
            }
        };
        const nothing = () => `Nothing waited at ${clock(new Date())}.`;
        const begin = () => {
            after = null;
            return look();
        };
        const peek = button("small", "Peek", begin);
        this.lookAgain = async () => {
            if (!this.isLooking) {
                return;
            }
            // An empty queue that nobody consumes is forgotten, and cannot be looked at.
            let words = nothing(), isBad = false;
            try {
                if ((await api.channel(this.channel)) !== null) {
                    return begin();
                }
            } catch (error) {
                [words, isBad] = [error.message, true];
            }
            list.replaceChildren();
            more.hidden = true;
            [state.textContent, state.dataset.bad] = [words, String(isBad)];
        };
        peek.id = "peek";
        peek.title = "Messages that wait in the queue; they stay there";
        return [[peek, more], [state, list]];
    }
}
