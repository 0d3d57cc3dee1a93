// Buttons and keys.

import { RANGES } from "./view.js";

const element = (id) => document.getElementById(id);
/// A quarter of what is shown.
const STEP = 0.25;

/// `on` has now(), look(whether it is a step to come back from), filter() and group().
export function controls(view, on) {
    const moves = (move) => () => {
        move();
        on.look(true);
    };
    const actions = {
        earlier: moves(() => view.panBy(-STEP, on.now())),
        later: moves(() => view.panBy(STEP, on.now())),
        "zoom-in": moves(() => view.zoomBy(0.5, on.now())),
        "zoom-out": moves(() => view.zoomBy(2, on.now())),
        pause: moves(() => (view.live ? view.pause(on.now()) : view.resume())),
    };
    for (const [id, act] of Object.entries(actions)) {
        element(id).addEventListener("click", act);
    }
    const ranges = RANGES.map(([name]) => {
        const button = document.createElement("button");
        button.type = "button";
        button.append(name);
        button.addEventListener("click", moves(() => view.show(name)));
        element("ranges").append(button);
        return [name, button];
    });
    element("group").addEventListener("change", (event) => {
        view.group = event.target.value;
        on.group();
    });
    element("filter").addEventListener("input", (event) => {
        view.filter = event.target.value;
        on.filter();
    });
    const keys = { ArrowLeft: "earlier", ArrowRight: "later", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", " ": "pause" };
    addEventListener("keydown", (event) => {
        const elsewhere = event.target.closest("input, select, button, a, .scroll") && event.key !== "Escape";
        if (elsewhere || event.ctrlKey || event.metaKey || event.altKey) {
            return;
        }
        if (keys[event.key]) {
            event.preventDefault();
            actions[keys[event.key]]();
        } else if (event.key === "Escape" && !view.live) {
            moves(() => view.resume())();
        }
    });
    return {
        show() {
            for (const [name, button] of ranges) {
                button.setAttribute("aria-pressed", String(view.range === name && view.isWhole(on.now())));
            }
            element("pause").textContent = view.live ? "Pause" : "Live";
            element("pause").setAttribute("aria-pressed", String(!view.live));
            element("group").value = view.group;
            if (element("filter").value !== view.filter) {
                element("filter").value = view.filter;
            }
        },
    };
}
