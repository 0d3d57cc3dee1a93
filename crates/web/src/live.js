// The state of the connection to the server, in the header of each page. A server that goes silent closes nothing (it is stopped,
// or the network drops what is sent), so the page's own clock says how old its figures are.

/// Milliseconds without data after which a page says so, and the time limit of a request.
export const SILENCE = 10_000;
const TICK = 1000;

export class Link {
    /// `healed` is called when data come after a silence.
    constructor(healed = () => {}) {
        this.healed = healed;
        this.element = document.getElementById("link");
        [this.state, this.words] = [this.element.dataset.state ?? "connecting", this.element.textContent];
        this.last = performance.now();
        this.due = this.last;
        this.isSilent = false;
        setInterval(() => this.tick(), TICK);
        // A page that nobody looks at need not ask: its silence begins when it is looked at again.
        document.addEventListener("visibilitychange", () => {
            if (!document.hidden && !this.isSilent) {
                this.due = Math.max(this.due, performance.now());
            }
        });
    }

    /// Shows a state, until nothing has been heard for too long.
    say(state, words) {
        [this.state, this.words] = [state, words];
        this.show();
    }

    /// Data have come. The next ones are due within `next` milliseconds.
    heard(next = 0) {
        this.last = performance.now();
        this.due = this.last + next;
        if (this.isSilent) {
            this.isSilent = false;
            this.show();
            this.healed();
        }
    }

    tick() {
        this.isSilent ||= !document.hidden && performance.now() - this.due > SILENCE;
        this.show();
    }

    show() {
        // The style of what is stale: theme.css.
        document.documentElement.dataset.stale = String(this.isSilent);
        const [state, words] = this.isSilent ? ["away", "no data"] : [this.state, this.words];
        if (this.element.dataset.state !== state) {
            this.element.dataset.state = state;
        }
        if ((this.element.firstChild?.data ?? "") !== words) {
            this.element.textContent = words;
        }
        if (this.isSilent) {
            this.count(Math.round((performance.now() - this.last) / TICK));
        }
    }

    /// The seconds stand in an element of their own, so that a screen reader does not read them each second.
    count(seconds) {
        const why = this.state === "away" ? `: ${this.words}` : "";
        const words = ` for ${seconds} s${why}`;
        let part = this.element.lastElementChild;
        if (part === null) {
            part = document.createElement("span");
            part.setAttribute("aria-hidden", "true");
            this.element.append(part);
        }
        if (part.textContent !== words) {
            part.textContent = words;
        }
    }
}
