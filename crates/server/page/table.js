// A table whose rows stay where they are while their figures change.

/// Touches the page only where something has changed.
export function text(element, words) {
    if (element.textContent !== words) {
        element.textContent = words;
    }
}

export function set(element, name, value) {
    if (element.getAttribute(name) !== value) {
        element.setAttribute(name, value);
    }
}

export function make(tag, kind, ...parts) {
    const made = document.createElement(tag);
    made.className = kind;
    made.append(...parts);
    return made;
}

export function button(kind, words, act) {
    const made = make("button", kind, words);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
}

export class Table {
    /// `on` has sort(key).
    constructor(on) {
        this.on = on;
        this.head = document.getElementById("head");
        this.body = document.getElementById("rows");
        this.rows = new Map();
        this.columns = null;
    }

    /// `columns` are { title, kind, key, make(row) or none, fill(cell, row) }; `keyOf` names a row; `selected` is the key of one, or null.
    draw(columns, rows, keyOf, sort, selected) {
        if (this.columns !== columns) {
            this.columns = columns;
            this.rows.clear();
            this.body.replaceChildren();
            const heads = columns.map(({ title, kind, key }) => {
                const head = make("th", kind, key === null ? title : button("sort", title, () => this.on.sort(key)));
                head.scope = "col";
                return head;
            });
            this.head.replaceChildren(make("tr", "", ...heads));
        }
        columns.forEach(({ key }, at) => {
            const isSorted = key !== null && sort.replace(/^-/, "") === key;
            set(this.head.firstChild.children[at], "aria-sort", isSorted ? (sort.startsWith("-") ? "descending" : "ascending") : "none");
        });
        const kept = new Set(rows.map(keyOf));
        for (const [key, row] of this.rows) {
            if (!kept.has(key)) {
                row.element.remove();
                this.rows.delete(key);
            }
        }
        rows.forEach((row, at) => {
            const key = keyOf(row);
            let known = this.rows.get(key);
            if (known === undefined) {
                known = { element: make("tr", ""), row };
                known.element.append(...columns.map((column, at) => {
                    const cell = make(at === 0 ? "th" : "td", column.kind);
                    column.make?.(cell, () => known.row);
                    return cell;
                }));
                known.element.firstChild.scope = "row";
                this.rows.set(key, known);
            }
            known.row = row;
            if (this.body.children[at] !== known.element) {
                this.body.insertBefore(known.element, this.body.children[at] ?? null);
            }
            set(known.element, "aria-selected", String(key === selected));
            columns.forEach((column, at) => column.fill(known.element.children[at], row));
        });
    }

    /// Puts the focus on a row's name, if the row is shown.
    focus(key) {
        this.rows.get(key)?.element.querySelector("button")?.focus();
    }
}

/// The order after a click on a column: its first one, the other one, and then the usual one. Texts begin with the least, figures with the
/// greatest.
export function next(sort, key, isText) {
    const [first, second] = isText ? [key, `-${key}`] : [`-${key}`, key];
    return sort === first ? second : sort === second ? "" : first;
}
