// The dialog before what cannot be taken back: it goes on when the name is typed.

import { button, make } from "./table.js";

const dialog = document.getElementById("confirm");

function open(form) {
    dialog.replaceChildren(form);
    dialog.showModal();
    return new Promise((resolve) => {
        dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
    });
}

function titled(words) {
    const title = make("h2", "", words);
    title.id = "confirm-title";
    return title;
}

function ends(words, kind) {
    const go = make("button", `go ${kind}`, words);
    go.value = "go";
    const cancel = button("", "Cancel", () => dialog.close("cancel"));
    return [go, make("p", "ends", cancel, go)];
}

function field(words, tag = "input") {
    const input = document.createElement(tag);
    input.autocomplete = "off";
    input.spellcheck = false;
    return [input, make("label", "", words, input)];
}

function formOf(...parts) {
    const form = make("form", "", ...parts);
    form.method = "dialog";
    dialog.returnValue = "";
    return form;
}

/// Returns true if the name was typed. `fields` stand before it.
export async function confirmed(title, words, name, act, fields = [], asks = "Type the name above to go on") {
    const [input, label] = field(asks);
    input.id = "typed";
    const [go, row] = ends(act, "danger");
    go.disabled = true;
    input.addEventListener("input", () => { go.disabled = input.value !== name; });
    const form = formOf(titled(title), make("p", "", words), make("code", "", name), ...fields, label, row);
    return (await open(form)) === "go" && input.value === name;
}

/// The typed queue to move messages to; null if canceled. Dead letters need none: they know where they came from.
export async function target(words, name, areDead) {
    const [to, label] = field(areDead ? "To the queue (empty: each back to where it came from)" : "To the queue");
    to.id = "to";
    to.required = !areDead;
    return (await confirmed("Move the messages", words, name, "Move", [label])) ? to.value : null;
}

/// A message and its channel; null if canceled.
export async function composed() {
    const [name, nameLabel] = field("Channel: a queue begins with /queue, others are topics");
    name.required = true;
    const [body, bodyLabel] = field("Message", "textarea");
    const [, row] = ends("Publish", "");
    const answer = await open(formOf(titled("Publish a message"), nameLabel, bodyLabel, row));
    return answer === "go" ? { name: name.value, body: body.value } : null;
}

/// Shows a sentence.
export async function notify(title, words) {
    const [, row] = ends("Close", "");
    row.firstChild.remove();
    await open(formOf(titled(title), make("p", "", words), row));
}
